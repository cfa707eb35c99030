import { expect } from 'chai';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { bodyAtHand } from '../../modules/registry/src/http/request-body.ts';

/** What `bodyAtHand` gives once the handler has waited for what is known already, as every handler does. */
async function givenFor(lengthBytes: number, sent: string): Promise<string | undefined> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    const asked = new Promise<string | undefined>((resolve) => {
      server.once('request', (request: IncomingMessage) => {
        void Promise.resolve().then(() => resolve(bodyAtHand(request)?.toString()));
      });
    });
    socket.write(`PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: ${lengthBytes}\r\n\r\n${sent}`);
    return await asked;
  } finally {
    socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

describe('bodyAtHand()', () => {
  it('gives a body that came with its head', async () => {
    expect(await givenFor(5, 'whole')).to.equal('whole');
  });

  it('gives nothing, and takes nothing, while some is still to come', async () => {
    expect(await givenFor(9, 'not all')).to.equal(undefined);
  });

  it('gives nothing where there is no body', async () => {
    expect(await givenFor(0, '')).to.equal(undefined);
  });
});
