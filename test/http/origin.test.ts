import { expect } from 'chai';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { compileTrust, isAddressedTo, originOf, type Origin } from '../../modules/registry/src/http/origin.ts';

describe('originOf()', () => {
  const named = { host: 'edge.plant.local' };
  const forwarded = {
    ...named,
    'x-forwarded-for': '10.1.2.3',
    'x-forwarded-host': 'outside.example',
    'x-forwarded-proto': 'https',
  };
  const own: Origin = { address: '127.0.0.1', host: 'edge.plant.local', protocol: 'http' };
  const cases: readonly (readonly [string, readonly string[], Readonly<Record<string, string>>, Origin])[] = [
    ['a client', ['loopback'], named, own],
    [
      'what a trusted proxy forwards',
      ['loopback'],
      forwarded,
      { address: '10.1.2.3', host: 'outside.example', protocol: 'https' },
    ],
    ['the address alone', ['loopback'], { ...named, 'x-forwarded-for': '10.1.2.3' }, { ...own, address: '10.1.2.3' }],
    ['a stranger who calls himself a proxy', ['10.0.0.0/8'], forwarded, own],
  ];
  for (const [what, trusted, headers, expected] of cases) {
    it(`tells ${what}`, async () => {
      const trust = compileTrust(trusted);
      const server = createServer((request, response) => response.end(JSON.stringify(originOf(request, trust))));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        const { port } = server.address() as AddressInfo;
        const answer = await request(`http://127.0.0.1:${port}/`, { headers });
        expect(await answer.body.json()).to.deep.equal(expected);
      } finally {
        server.close();
        server.closeAllConnections();
      }
    });
  }
});

describe('isAddressedTo()', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['edge.plant.local', 'edge.plant.local', true],
    ['edge.plant.local', 'EDGE.plant.local:443', true],
    ['edge.plant.local:80', 'edge.plant.local', true],
    ['edge.plant.local:8000', 'edge.plant.local:8000', true],
    ['edge.plant.local:8000', 'edge.plant.local', false],
    ['edge.plant.local', 'edge.plant.local:8000', false],
    ['edge.plant.local', 'other.plant.local', false],
  ];
  for (const [loginServer, host, expected] of cases) {
    it(`is ${expected} for ${host} at ${loginServer}`, () => {
      expect(isAddressedTo(loginServer, host)).to.equal(expected);
    });
  }
});
