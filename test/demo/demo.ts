import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { startCloud, type Cloud } from '../helpers/cloud.ts';
import { sampleImage, sampleIndex, type SampleImage } from '../helpers/images.ts';
import type { Properties } from '../helpers/edgehub-rules.ts';
import { startFaultProxy, type FaultProxy } from '../helpers/fault-proxy.ts';
import { freePort } from '../helpers/free-port.ts';
import { startLayer, type Layer, type LayerReport } from '../helpers/layer.ts';
import { authorize, pullImage, type Account } from '../helpers/pull-image.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { arrives, push } from '../hierarchy/push.ts';
import { createScreen, readableBytes, type LayerRow, type Screen } from './screen.ts';

/**
 * The main job, end to end: a cloud registry, three connected registries below each other (each a real module process
 * with its own device, hub and twin), images down, pushes up, a pull at the bottom, and a link that is cut in the middle of
 * a large layer. `--exit` ends after the checks.
 */
const { values: flags } = parseArgs({ options: { exit: { type: 'boolean', default: false } } });

const operator: Account = { name: 'operator', password: 'operator-password' };
const syncTokens = {
  L5: { name: 'plantL5sync', password: 'L5-sync-password' },
  L4: { name: 'plantL4sync', password: 'L4-sync-password' },
  L3: { name: 'plantL3sync', password: 'L3-sync-password' },
};
const platforms = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
  { os: 'linux', architecture: 'arm', variant: 'v7' },
] as const;

interface LayerPlan {
  readonly name: 'L5' | 'L4' | 'L3';
  readonly mode: 'ReadWrite' | 'ReadOnly';
}

const plan: readonly LayerPlan[] = [
  { name: 'L5', mode: 'ReadWrite' },
  { name: 'L4', mode: 'ReadWrite' },
  { name: 'L3', mode: 'ReadOnly' },
];

/** Over the top link, so that the progress of a large layer can be seen. */
const bytesPerSecond = 8 * 1024 ** 2;

const began = Date.now();
const screen = createScreen(process.stdout);
const directory = await temporaryDirectory();
const layers: Layer[] = [];
let cloud: Cloud | undefined;
/** The link between the cloud and the top layer. */
let link: FaultProxy | undefined;
let failed = false;
const stopped = new Promise<void>((resolve) => {
  process.once('SIGINT', resolve);
  process.once('SIGTERM', resolve);
});

try {
  await Promise.race([tour(screen), stopped]);
  if (!flags.exit) await stopped;
} catch (error) {
  failed = true;
  screen.say(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  for (const { name, program } of layers) screen.say(`\n${name} said last:\n${program.lines.slice(-20).join('\n')}`);
} finally {
  screen.say('\nStopping.');
  await Promise.all(layers.map((layer) => layer.close()));
  await link?.close();
  await cloud?.close();
  await rm(directory, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

async function tour(view: Screen): Promise<void> {
  const say = (line: string): void => view.say(line);
  const show = (rows: readonly LayerRow[]): void => view.show(rows);
  const step = (text: string): void => {
    say(`[${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s] ${text}`);
    view.printTable();
  };

  cloud = await startCloud({ directory: join(directory, 'cloud'), account: syncTokens.L5, registryBelow: 'plantL5' });
  step(`cloud registry: ${cloud.kind}, http://${cloud.endpoint}`);

  const hello = multiPlatformImage('hello');
  const signature = sampleImage(['signature of hello:1'], {
    subject: hello.manifest,
    artifactType: 'application/vnd.dev.example.signature.v1',
  });
  const tools = multiPlatformImage('tools');
  await push(cloud.endpoint, syncTokens.L5, 'plant/hello', hello, '1');
  await push(cloud.endpoint, syncTokens.L5, 'plant/hello', signature);
  await push(cloud.endpoint, syncTokens.L5, 'plant/tools', tools, '7');
  step('pushed to the cloud: plant/hello:1 (3 platforms, 1 signature) and plant/tools:7');

  const hashes = new Map<string, string>();
  for (const account of [operator, syncTokens.L4, syncTokens.L3]) {
    hashes.set(account.name, await hashPassword(account.password));
  }
  link = await startFaultProxy(cloud.endpoint);
  const [l5, l4, l3] = await startLayers(link, hashes);
  const rows = (): LayerRow[] => layers.map(rowOf);
  const redraw = setInterval(() => show(rows()), 250);
  try {
    show(rows());
    step('three modules are up, each talking to its own hub over MQTT/TLS, all started at once');

    await arrives(l3.url, operator, ['plant/hello', '1'], hello);
    await Promise.all([l5, l4, l3].map((layer) => layer.reported('in sync', (report) => report.inSync === true)));
    show(rows());
    step(`plant/hello:1 is at L3, the bottom: ${hello.manifest.digest}`);

    layers.forEach((layer, index) => {
      layer.site.hub.replaceDesired('registry', desiredOf(index, ['plant/hello', 'plant/tools'], hashes));
    });
    await arrives(l3.url, operator, ['plant/tools', '7'], tools);
    show(rows());
    step('twin update: plant/tools added at every layer, and plant/tools:7 has arrived at L3');

    const report = sampleImage(['measured at L4']);
    await push(l4.endpoint, operator, 'plant/hello', report, 'from-l4');
    await arrives(`http://${cloud.endpoint}`, syncTokens.L5, ['plant/hello', 'from-l4'], report);
    step('pushed plant/hello:from-l4 at L4 (ReadWrite): carried up through L5, it is in the cloud');

    const above = await pullImage(`http://${cloud.endpoint}`, syncTokens.L5, 'plant/hello', '1');
    const below = await pullImage(l3.url, operator, 'plant/hello', '1');
    check(above.digest === below.digest, 'the digests at the top and at the bottom differ');
    check(above.contents.size === below.contents.size, 'the bottom lacks content');
    const signatures = await listReferrers(l3, hello);
    check(signatures.includes(signature.manifest.digest), 'the signature is not at the bottom');
    step(
      `pulled plant/hello:1 at L3 through the registry API: ${below.contents.size} manifests and blobs, ` +
        `${below.bytes} bytes, every digest verified and as in the cloud; its signature is listed as referrer`,
    );

    await cutTheLink({
      ...{ cloud, link, l5, l3 },
      step(text) {
        show(rows());
        step(text);
      },
    });

    await Promise.all(layers.map((layer) => layer.reported('everything in sync', isComplete)));
    show(rows());
    for (const layer of layers) {
      say(`          ${layer.name}: ${Math.round((await layer.residentBytes()) / 1024 ** 2)} MB resident`);
    }
    say(`\nL3 reports to its module twin:\n${JSON.stringify(l3.report, undefined, 2)}\n`);
    step('every step was verified');
    if (!flags.exit) sayHowToGoOn(say, l4, l3);
    if (!flags.exit) await stopped;
  } finally {
    clearInterval(redraw);
  }
}

/** A layer of 32 MiB comes down, the link breaks in its middle and returns; what L5 reports meanwhile is what is shown. */
async function cutTheLink(parts: {
  readonly cloud: Cloud;
  readonly link: FaultProxy;
  readonly l5: Layer;
  readonly l3: Layer;
  readonly step: (text: string) => void;
}): Promise<void> {
  const { cloud: top, link: to, l5, l3, step } = parts;
  const vision = sampleImage([randomBytes(32 * 1024 ** 2)]);
  const neededBytes = vision.blobs.reduce((sum, { length }) => sum + length, 0);
  const beforeBytes = to.passedBytes;
  const inTheMiddle = to.allow(beforeBytes + Math.floor(neededBytes / 2));
  await push(top.endpoint, syncTokens.L5, 'plant/tools', vision, '8');
  // The cloud has no message feed; without this the schedule would begin within a minute.
  await l5.site.hub.invokeMethod('registry', 'resync');
  await inTheMiddle;
  const moves = ({ connectionState, syncProgress }: LayerReport): boolean =>
    connectionState === 'Syncing' && (syncProgress?.bytesDone ?? 0) > 0;
  await l5.reported('progress', moves);
  step(
    `pushed plant/tools:8 (a layer of 32 MiB) to the cloud, L5 may take ${readableBytes(bytesPerSecond)}/s: ${told(l5)}`,
  );

  to.down();
  const passedBytes = to.passedBytes - beforeBytes;
  const cutAt = Date.now();
  const isOffline = ({ connectionState }: LayerReport): boolean => connectionState === 'Offline';
  const { syncProgress, statusDetails } = await l5.reported('Offline', isOffline);
  const seconds = ((Date.now() - cutAt) / 1000).toFixed(1);
  const reached = syncProgress?.bytesDone ?? 0;
  check(reached > 0 && reached <= passedBytes, `${passedBytes} bytes came, L5 reports ${reached}`);
  const reason = statusDetails?.map(({ code }) => code).join(', ') ?? '';
  step(`cut the link between the cloud and L5 at byte ${reached}; ${seconds} s later: ${reason}; ${told(l5)}`);

  to.heal();
  void to.allow(Infinity);
  await arrives(l3.url, operator, ['plant/tools', '8'], vision);
  const overLink = to.passedBytes - beforeBytes;
  await l5.reported('in sync', ({ inSync, connectionState }) => inSync === true && connectionState === 'Online');
  check(overLink <= neededBytes * 1.01, `${overLink} bytes crossed the link for ${neededBytes}`);
  step(
    `the link is back: L5 went on at that byte, and plant/tools:8 is at L3; ` +
      `${overLink} bytes crossed the link for ${neededBytes} needed (${(overLink / neededBytes).toFixed(3)}); ${told(l5)}`,
  );
}

/** The state of the layer and of the repository that moves, from its reported properties. */
function told({ name, report }: Layer): string {
  const row = report.syncProgress?.repositories.find((repository) => repository.name === 'plant/tools');
  const bytes =
    row?.bytesTotal === undefined ? '' : `, ${readableBytes(row.bytesDone ?? 0)} of ${readableBytes(row.bytesTotal)}`;
  return `${name} reports ${report.connectionState ?? '-'}, plant/tools ${row?.state ?? '-'}${bytes}`;
}

/** The desired properties of one layer: what its module twin holds. */
function desiredOf(index: number, repositories: readonly string[], hashes: ReadonlyMap<string, string>): Properties {
  const child = plan[index + 1];
  const actions = ['content/read', 'content/write', 'content/delete', 'metadata/read', 'metadata/write'];
  const passwords = (account: Account) => [{ name: 'password1', hash: hashes.get(account.name) }];
  return {
    mode: plan[index]?.mode,
    parent: { syncProperties: { schedule: '* * * * *' } },
    repositories,
    ...(index === 0 && { transfer: { bytesPerSecond } }),
    scopeMaps: [{ name: 'operators', actions: actions.map((action) => `repositories/plant/*/${action}`) }],
    clientTokens: [{ name: operator.name, scopeMap: 'operators', passwords: passwords(operator) }],
    children: child
      ? [
          {
            name: `plant${child.name}`,
            mode: child.mode,
            repositories,
            syncToken: { name: syncTokens[child.name].name, passwords: passwords(syncTokens[child.name]) },
          },
        ]
      : [],
  };
}

async function startLayers(top: FaultProxy, hashes: ReadonlyMap<string, string>): Promise<[Layer, Layer, Layer]> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const started = await Promise.all(
    plan.map(({ name }, index) =>
      startLayer({
        name: `plant${name}`,
        directory: join(directory, name),
        built: 'dist',
        desired: desiredOf(index, ['plant/hello'], hashes),
        parent: {
          endpoint: index === 0 ? top.host : `127.0.0.1:${String(ports[index - 1])}`,
          syncToken: syncTokens[name],
        },
        ...(ports[index] !== undefined && { port: ports[index] }),
      }).then((layer) => {
        layers[index] = layer;
        return layer;
      }),
    ),
  );
  const [l5, l4, l3] = started;
  if (!l5 || !l4 || !l3) throw new Error('a layer is missing');
  return [l5, l4, l3];
}

function multiPlatformImage(name: string): SampleImage {
  return sampleIndex(
    platforms.map((platform) => {
      const layer = `${name} for ${platform.os}/${platform.architecture}\n`.repeat(2000);
      return [platform, sampleImage([layer, `base of ${platform.architecture}`], { platform })] as const;
    }),
  );
}

async function listReferrers(layer: Layer, image: SampleImage): Promise<string[]> {
  const response = await fetch(`${layer.url}/v2/plant/hello/referrers/${image.manifest.digest}`, {
    headers: { authorization: await authorize(layer.url, operator, 'plant/hello') },
  });
  const { manifests } = (await response.json()) as { manifests: { digest: string }[] };
  return manifests.map(({ digest }) => digest);
}

/** plant/hello:1 with the signature's fallback tag, plant/tools:7 and :8; what was pushed below is counted by the next pass. */
function isComplete(report: LayerReport): boolean {
  return report.inSync === true && imagesIn(report) >= 4;
}

function imagesIn(report: LayerReport): number {
  return (report.syncProgress?.repositories ?? []).reduce((sum, { tagsInSync }) => sum + tagsInSync, 0);
}

function rowOf({ name, report }: Layer): LayerRow {
  return {
    layer: name,
    mode: report.mode ?? '-',
    state: report.connectionState ?? 'starting',
    inSync: report.inSync,
    images: imagesIn(report),
    bytes: report.storage?.usedBytes ?? 0,
    bytesDone: report.syncProgress?.bytesDone ?? 0,
    bytesTotal: report.syncProgress?.bytesTotal ?? 0,
    eta: report.syncProgress?.eta,
    lastSync: report.registrySyncResult?.lastSyncEndTime,
  };
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

function sayHowToGoOn(say: (line: string) => void, l4: Layer, l3: Layer): void {
  const { name, password } = operator;
  say(`
Try it by hand (user ${name}, password ${password}); what you push at L4 arrives in the cloud and at L3:
  docker login -u ${name} -p ${password} localhost:${l4.endpoint.split(':')[1] ?? ''}
  docker push localhost:${l4.endpoint.split(':')[1] ?? ''}/plant/hello:mine
  skopeo copy --src-tls-verify=false --src-creds ${name}:${password} docker://${l3.endpoint}/plant/hello:1 dir:/tmp/hello
  skopeo list-tags --tls-verify=false --creds ${name}:${password} docker://${l3.endpoint}/plant/hello
Ctrl-C ends everything.`);
}
