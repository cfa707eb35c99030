import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from '../helpers/ask.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { sampleImage, sampleIndex } from '../helpers/images.ts';
import { startLayer, type Layer, type LayerReport } from '../helpers/layer.ts';
import { pullImage, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { cloudAccount, layerSettings, operator, passwordsOf } from './layer-settings.ts';
import { arrives, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { tells } from './tells.ts';
import { openCloud } from './open-cloud.ts';

const lowerSync: Account = { name: 'lowersync', password: 'lower-sync-password' };
const platforms = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
  { os: 'linux', architecture: 'arm', variant: 'v7' },
] as const;

/** Three module processes: the cloud, a ReadWrite layer, a ReadOnly one at the bottom. */
describe('two layers below a cloud', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;
  let cloud: Cloud;
  let cloudUrl: string;
  let upper: Layer;
  let lower: Layer;

  const upperSettings = async (repositories: readonly string[], mode = 'ReadWrite') =>
    layerSettings({
      mode,
      repositories,
      children: [
        {
          name: 'lowerlayer',
          mode: 'ReadOnly',
          repositories,
          syncToken: { name: lowerSync.name, passwords: await passwordsOf(lowerSync) },
        },
      ],
    });
  const lowerSettings = (repositories: readonly string[]) => layerSettings({ mode: 'ReadOnly', repositories });

  before(async () => {
    stage = await openStage();
    const { directory } = stage;
    cloud = await openCloud(stage, 'upperlayer');
    cloudUrl = `http://${cloud.endpoint}`;
    upper = await stage.open(
      startLayer({
        name: 'upperlayer',
        directory: join(directory, 'upper'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: await upperSettings(['plant/hello']),
      }),
    );
    lower = await stage.open(
      startLayer({
        name: 'lowerlayer',
        directory: join(directory, 'lower'),
        parent: { endpoint: upper.endpoint, syncToken: lowerSync },
        desired: await lowerSettings(['plant/hello']),
      }),
    );
  });

  after(() => stage.close());

  it('bring an index of three platforms and its referrer to the bottom unchanged, and report inSync', async () => {
    const hello = sampleIndex(
      platforms.map((platform) => {
        const layers = [`hello on ${platform.architecture}\n`.repeat(2000), `base of ${platform.architecture}`];
        return [platform, sampleImage(layers, { platform })] as const;
      }),
    );
    const artifactType = 'application/vnd.example.signature.v1';
    const signature = sampleImage(['signature of hello'], { subject: hello.manifest, artifactType });
    await push(cloud.endpoint, cloudAccount, 'plant/hello', signature);
    await push(cloud.endpoint, cloudAccount, 'plant/hello', hello, '1');

    await arrives(lower.url, operator, ['plant/hello', '1'], hello);
    const above = await pullImage(cloudUrl, cloudAccount, 'plant/hello', '1');
    const below = await pullImage(lower.url, operator, 'plant/hello', '1');
    expect(below).to.deep.equal(above);
    expect(below.contents).to.have.length(1 + 3 * 4);
    const referrers = await ask(`${lower.url}/v2/plant/hello/referrers/${hello.manifest.digest}`, operator);
    const { manifests } = JSON.parse(referrers.body.toString()) as { manifests: object[] };
    expect(manifests).to.have.length(1);
    expect(manifests[0]).to.include({ digest: signature.manifest.digest, artifactType });
    await pullImage(lower.url, operator, 'plant/hello', signature.manifest.digest);
    for (const layer of [upper, lower]) await layer.reported('in sync with one tag', isInSyncWith('plant/hello', 1));
  });

  it('take a repository in when a twin update adds it', async () => {
    const tools = sampleImage(['tools']);
    await push(cloud.endpoint, cloudAccount, 'plant/tools', tools, '7');
    upper.site.hub.replaceDesired('registry', await upperSettings(['plant/hello', 'plant/tools']));
    lower.site.hub.replaceDesired('registry', await lowerSettings(['plant/hello', 'plant/tools']));

    await arrives(lower.url, operator, ['plant/tools', '7'], tools);
    await tells(lower, 'that it is in sync with the new repository', isInSyncWith('plant/tools', 1));
  });

  it('carry a push at the ReadWrite layer up to the cloud and down to the bottom', async () => {
    const measured = sampleImage(['measured at the upper layer']);
    await push(upper.endpoint, operator, 'plant/hello', measured, 'measured');

    await arrives(cloudUrl, cloudAccount, ['plant/hello', 'measured'], measured);
    await pullImage(cloudUrl, cloudAccount, 'plant/hello', 'measured');
    await arrives(lower.url, operator, ['plant/hello', 'measured'], measured);
  });

  it('carry an untag at the ReadWrite layer up; the image stays reachable by digest', async () => {
    const old = sampleImage(['old']);
    await push(upper.endpoint, operator, 'plant/hello', old, 'old');
    await arrives(cloudUrl, cloudAccount, ['plant/hello', 'old'], old);
    const untagged = await ask(`${upper.url}/v2/plant/hello/manifests/old`, operator, { method: 'DELETE' });
    expect(untagged.status).to.equal(202);

    await arrives(cloudUrl, cloudAccount, ['plant/hello', 'old'], undefined);
    await pullImage(cloudUrl, cloudAccount, 'plant/hello', old.manifest.digest);
  });

  it('carry a delete at the ReadWrite layer up, and the bottom follows', async () => {
    const wrong = sampleImage(['wrong']);
    await push(upper.endpoint, operator, 'plant/hello', wrong, 'wrong');
    await arrives(cloudUrl, cloudAccount, ['plant/hello', 'wrong'], wrong);
    await arrives(lower.url, operator, ['plant/hello', 'wrong'], wrong);
    const address = `/v2/plant/hello/manifests/${wrong.manifest.digest}`;
    expect(await ask(`${upper.url}${address}`, operator, { method: 'DELETE' })).to.include({ status: 202 });

    await arrives(cloudUrl, cloudAccount, ['plant/hello', 'wrong'], undefined);
    expect(await ask(`${cloudUrl}${address}`, cloudAccount)).to.include({ status: 404, code: 'MANIFEST_UNKNOWN' });
    await arrives(lower.url, operator, ['plant/hello', 'wrong'], undefined);
    await tells(upper, 'that nothing is left to carry up', ({ inSync, outbox }) => inSync && outbox.pending === 0);
  });

  it('bring a change to the bottom by message, without a tick, and tell the top how all below are', async () => {
    const takenMs: number[] = [];
    for (const version of ['urgent1', 'urgent2', 'urgent3']) {
      const urgent = sampleImage([version]);
      await push(cloud.endpoint, cloudAccount, 'plant/hello', urgent, version);
      await arrives(lower.url, operator, ['plant/hello', version], urgent);
      const [above, below] = [await setMs(cloudUrl, cloudAccount, version), await setMs(lower.url, operator, version)];
      takenMs.push(below - above);
    }
    // Schedules tick once a minute. The median, since the machine of a test may be busy for a moment.
    expect(takenMs.sort((a, b) => a - b)[1]).to.be.within(0, 3000);
    await upper.reported('its child in sync', ({ children }) => {
      const [child] = (children ?? []) as { name: string; inSync?: boolean; lastSeen?: string }[];
      return child?.name === 'lowerlayer' && child.inSync === true && child.lastSeen !== undefined;
    });
    interface Told {
      readonly children: readonly { inSync?: boolean; children?: object }[];
    }
    const file = join(stage.directory, 'cloud/data/reported.json');
    await until('the cloud tells how its child and grandchild are', async () => {
      const [child] = (JSON.parse(await readFile(file, 'utf8')) as Told).children;
      return child?.inSync === true && JSON.stringify(child.children) === '{"total":1,"inSync":1,"worst":"Online"}';
    });
  });

  it('let one instance of a name sync; another waits, and takes over once the first is inactive', async () => {
    const other = await startLayer({
      name: 'lowerlayer',
      directory: join(stage.directory, 'other'),
      parent: { endpoint: upper.endpoint, syncToken: lowerSync },
      desired: await lowerSettings(['plant/hello', 'plant/tools']),
    });
    try {
      await tells(other, 'that another instance is active', ({ statusDetails }) =>
        statusDetails.some(({ code }) => code === 'ALREADY_ACTIVATED'),
      );
      const settings = await lowerSettings(['plant/hello', 'plant/tools']);
      lower.site.hub.replaceDesired('registry', { ...settings, activation: { status: 'Inactive' } });
      await tells(other, 'that it is in sync', ({ inSync }) => inSync);
      await arrives(other.url, operator, ['plant/tools', '7'], sampleImage(['tools']));
      other.site.hub.replaceDesired('registry', { ...settings, activation: { status: 'Inactive' } });
      lower.site.hub.replaceDesired('registry', settings);
      await tells(lower, 'that it is in sync again', ({ inSync }) => inSync);
    } finally {
      await other.close();
    }
  });

  it('follow a tag deleted in the cloud down to the bottom once both are ReadOnly', async () => {
    upper.site.hub.replaceDesired('registry', await upperSettings(['plant/hello', 'plant/tools'], 'ReadOnly'));
    const deleted = await ask(`${cloudUrl}/v2/plant/hello/manifests/measured`, cloudAccount, { method: 'DELETE' });
    expect(deleted.status).to.equal(202);

    await arrives(upper.url, operator, ['plant/hello', 'measured'], undefined);
    await arrives(lower.url, operator, ['plant/hello', 'measured'], undefined);
    expect((await ask(`${lower.url}/v2/plant/hello/manifests/1`, operator)).status).to.equal(200);
  });
});

/** When the tag was set at that registry, by the clock that all processes here share. */
async function setMs(url: string, account: Account, version: string): Promise<number> {
  const { body } = await ask(`${url}/acr/v1/plant/hello/_tags/${version}`, account);
  const { tag } = JSON.parse(body.toString()) as { tag: { lastUpdateTime: string } };
  return Date.parse(tag.lastUpdateTime);
}

function isInSyncWith(name: string, tags: number): (report: Pick<LayerReport, 'inSync' | 'syncProgress'>) => boolean {
  return ({ inSync, syncProgress }) =>
    inSync === true && syncProgress?.repositories.find((row) => row.name === name)?.tagsInSync === tags;
}
