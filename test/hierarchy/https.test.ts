import { expect } from 'chai';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { Properties } from '../helpers/edgehub-rules.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import type { Account } from '../helpers/pull-image.ts';
import { layerSettings, operator, passwordsOf } from './layer-settings.ts';
import { arrives, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';

const lowerSync: Account = { name: 'lowersync', password: 'lower-sync-password' };

interface Told extends Properties {
  readonly loginServer?: { readonly tls: { readonly status: string; readonly expires?: string } };
}

/** A parent that serves HTTPS with a certificate of its device's Edge CA, and a child that trusts that device's root. */
describe('HTTPS with a certificate from the workload API', function () {
  this.timeout(45_000);
  let stage: Stage;
  let upper: Layer;
  let httpsPort: number;

  before(async () => {
    stage = await openStage();
    httpsPort = await freePort();
    const child = {
      ...{ name: 'lowerlayer', mode: 'ReadOnly', repositories: ['plant/*'] },
      syncToken: { name: lowerSync.name, passwords: await passwordsOf(lowerSync) },
    };
    upper = await stage.open(
      startLayer({
        name: 'upperlayer',
        directory: join(stage.directory, 'upper'),
        parent: { endpoint: '127.0.0.1:1', syncToken: lowerSync },
        desired: await layerSettings({ children: [child] }),
        variables: { ACR_REGISTRY_HTTPS_PORT: String(httpsPort) },
      }),
    );
  });
  after(() => stage.close());

  it('is told in the reported properties, and shows a chain that the root alone vouches for', async () => {
    const { loginServer } = (await upper.reported(
      'HTTPS is on',
      (report: Told) => report.loginServer?.tls.status === 'Enabled',
    )) as Told;
    const socket = connect({ port: httpsPort, host: '127.0.0.1', servername: 'localhost', ca: upper.site.trustBundle });
    await once(socket, 'secureConnect');
    const { valid_to: validTo } = socket.getPeerCertificate();
    socket.destroy();
    expect(new Date(loginServer?.tls.expires ?? 0)).to.deep.equal(new Date(validTo));
  });

  it('serves a child that has the root in its ca.crt', async () => {
    const directory = join(stage.directory, 'lower');
    await mkdir(join(directory, 'certs'), { recursive: true });
    await writeFile(join(directory, 'certs', 'ca.crt'), upper.site.trustBundle);
    const hello = sampleImage(['over TLS']);
    await push(upper.endpoint, operator, 'plant/hello', hello, '1');
    const lower = await stage.open(
      startLayer({
        name: 'lowerlayer',
        directory,
        parent: { endpoint: `localhost:${httpsPort}`, protocol: 'https', syncToken: lowerSync },
        desired: await layerSettings({ mode: 'ReadOnly' }),
      }),
    );
    await arrives(lower.url, operator, ['plant/hello', '1'], hello);
  });
});
