import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '../helpers/needs.ts';
import { Program, run } from '../helpers/program.ts';
import { until } from '../helpers/until.ts';
import { layerSettings, passwordsOf } from '../hierarchy/layer-settings.ts';
import { openStage, type Stage } from '../hierarchy/stage.ts';
import { writeOciLayout } from './oci-layout.ts';
import { openNetwork, type Network } from './network.ts';

const root = new URL('../../', import.meta.url).pathname;
const sync = { name: 'childsync', password: 'child-password' };
const operator = { name: 'operator', password: 'operator-password' };
const [parentPort, childPort] = [8080, 8081];
const layerBytes = 24 * 1024 * 1024;

interface Reported {
  readonly inSync?: boolean;
  readonly connectionState?: string;
  readonly statusDetails?: readonly { readonly code: string }[];
  readonly syncProgress?: { readonly bytesDone: number; readonly bytesTotal: number };
}

/** A parent and its child as processes in two network namespaces, with a bad cable between them. The tests follow each other. */
describe('sync over a network that fails', function () {
  this.timeout(240_000);
  let stage: Stage;
  let opened: Stage | undefined;
  let network: Network;
  let number = 0;

  before(async function () {
    await needs(this, 'root', 'ip', 'nft', 'curl', 'skopeo');
    stage = await openStage();
    opened = stage;
    network = await stage.open(openNetwork());
    const passwords = await passwordsOf(sync);
    const children = [
      { name: 'lowerlayer', mode: 'ReadOnly', repositories: ['plant/*'], syncToken: { name: sync.name, passwords } },
    ];
    await stage.open(start('parent', network.above, parentPort, await layerSettings({ parent: undefined, children })));
    const parent = { syncProperties: { schedule: '* * * * *' } };
    const transfer = { bytesPerSecond: 4 * 1024 * 1024 };
    await stage.open(
      start('child', network.below, childPort, await layerSettings({ mode: 'ReadOnly', parent, transfer })),
    );
  });
  after(() => opened?.close());

  async function start(
    name: string,
    [command = '', ...before]: readonly string[],
    port: number,
    settings: object,
  ): Promise<{ close(): Promise<void> }> {
    const directory = join(stage.directory, name);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'settings.json'), JSON.stringify(settings));
    const isChild = name === 'child';
    const program = new Program({
      command,
      arguments: [...before, process.execPath, '--import', 'tsx', 'modules/registry/src/main.ts'],
      cwd: root,
      environment: {
        ACR_REGISTRY_SETTINGS_FILE: join(directory, 'settings.json'),
        ACR_REGISTRY_DATA_VOLUME: join(directory, 'data'),
        ACR_REGISTRY_HTTP_PORT: String(port),
        ACR_REGISTRY_HTTPS_PORT: 'off',
        ACR_REGISTRY_METRICS_PORT: 'off',
        ACR_REGISTRY_BIND_ADDRESS: '0.0.0.0',
        ...(isChild && {
          ACR_REGISTRY_CONNECTION_STRING: [
            'ConnectedRegistryName=lowerlayer',
            `SyncTokenName=${sync.name};SyncTokenPassword=${sync.password}`,
            `ParentGatewayEndpoint=${network.address}:${parentPort};ParentEndpointProtocol=http`,
          ].join(';'),
        }),
      },
    });
    const where = isChild ? network.below : network.above;
    await until(`${name} answers`, async () => (await curl(where, port, '/v2/')) === '200');
    return {
      async close() {
        await program.stop();
      },
    };
  }

  /** The status of an answer, asked for on the machine itself. */
  function curl(where: readonly string[], port: number, path: string): Promise<string> {
    const [command = '', ...rest] = where;
    const account = `${operator.name}:${operator.password}`;
    const quiet = ['--silent', '--output', '/dev/null', '--write-out', '%{http_code}', '--user', account];
    return run(command, ...rest, 'curl', ...quiet, `http://127.0.0.1:${port}${path}`);
  }

  async function reported(): Promise<Reported> {
    return JSON.parse(await readFile(join(stage.directory, 'child/data/reported.json'), 'utf8')) as Reported;
  }

  const tells = (what: string, holds: (told: Reported) => boolean): Promise<Reported> =>
    until(
      `the child tells ${what}`,
      async () => {
        const told = await reported();
        return holds(told) && told;
      },
      200_000,
    );

  /** A new image at the parent; the path under which the child has it, once it has it. */
  async function pushAbove(): Promise<string> {
    number += 1;
    const layout = join(stage.directory, `image-${number}`);
    const platforms = [{ os: 'linux', architecture: 'amd64' }];
    await writeOciLayout(layout, { tag: '1', text: String(number), content: randomBytes(layerBytes), platforms });
    const [command = '', ...rest] = network.above;
    const to = `docker://127.0.0.1:${parentPort}/plant/image:${number}`;
    const account = `${operator.name}:${operator.password}`;
    await run(
      command,
      ...rest,
      'skopeo',
      'copy',
      '--dest-tls-verify=false',
      '--dest-creds',
      account,
      `oci:${layout}:1`,
      to,
    );
    return `/v2/plant/image/manifests/${number}`;
  }

  const isBelow = async (path: string): Promise<boolean> => (await curl(network.below, childPort, path)) === '200';
  const arrives = (path: string): Promise<unknown> => until(`${path} is below`, () => isBelow(path), 200_000);
  const isUnderWay = ({ syncProgress }: Reported): boolean =>
    syncProgress !== undefined &&
    syncProgress.bytesDone > 0 &&
    syncProgress.bytesTotal - syncProgress.bytesDone > layerBytes / 8;

  it('brings an image, when every fiftieth packet is lost', async function () {
    const isSlow = await network.delay(150);
    if (!isSlow) console.warn('      without delay: this kernel has no netem');
    await network.lose(2);
    const path = await pushAbove();
    await arrives(path);
    expect(await network.dropped()).to.be.greaterThan(0);
    await network.lose(0);
  });

  it('is Offline while the cable is out, and goes on by itself in the middle of a blob', async () => {
    const path = await pushAbove();
    await tells('that the image is under way', isUnderWay);
    await network.pull();
    const pulledMs = performance.now();
    expect(await isBelow(path)).to.equal(false);
    await tells('Offline', ({ connectionState, statusDetails }) => {
      return connectionState === 'Offline' && statusDetails?.some(({ code }) => code === 'PARENT_UNREACHABLE') === true;
    });
    expect(performance.now() - pulledMs).to.be.below(90_000);
    await network.plug();
    await arrives(path);
    await tells('in sync', ({ inSync, connectionState }) => inSync === true && connectionState === 'Online');
  });

  it('goes on, once large packets pass again that were swallowed without a word', async () => {
    const path = await pushAbove();
    await tells('that the image is under way', isUnderWay);
    await network.swallowLargerThan(600);
    await until('packets are swallowed', async () => (await network.dropped()) > 5);
    expect(await isBelow(path)).to.equal(false);
    await network.swallowLargerThan(undefined);
    await arrives(path);
    await tells('in sync', ({ inSync }) => inSync === true);
  });
});
