import { expect } from 'chai';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEdgeSite } from '../helpers/edge-site.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer } from '../helpers/layer.ts';
import { Program, run } from '../helpers/program.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { cloudAccount, layerSettings, operator } from './layer-settings.ts';
import { openCloud } from './open-cloud.ts';
import { arrives, knows, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';

const root = new URL('../../', import.meta.url).pathname;

/** What the Dockerfiles copy into an image: package.json, the build, and of node_modules what loads LevelDB. */
describe('the build', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;

  before(async () => {
    stage = await openStage();
    const { directory } = stage;
    await run(process.execPath, '--import', 'tsx', join(root, 'scripts/build.ts'), join(directory, 'dist'));
    await cp(join(root, 'package.json'), join(directory, 'package.json'));
    for (const name of ['classic-level', 'node-gyp-build']) {
      await mkdir(join(directory, 'node_modules', name), { recursive: true });
    }
    for (const path of [
      'classic-level/package.json',
      'classic-level/binding.js',
      'classic-level/prebuilds',
      'node-gyp-build',
    ]) {
      await cp(join(root, 'node_modules', path), join(directory, 'node_modules', path), { recursive: true });
    }
  });

  after(() => stage.close());

  it('runs with what IoT Edge gives a module, a data volume and ports, and nothing else', async () => {
    const site = await stage.open(startEdgeSite({ modules: ['registry'] }));
    site.hub.replaceDesired('registry', await layerSettings());
    const port = await freePort();
    const program = new Program({
      command: process.execPath,
      arguments: ['dist/main.js'],
      cwd: stage.directory,
      environment: {
        ...site.variables('registry'),
        ACR_REGISTRY_DATA_VOLUME: join(stage.directory, 'data'),
        ACR_REGISTRY_HTTP_PORT: String(port),
        ACR_REGISTRY_HTTPS_PORT: 'off',
        ACR_REGISTRY_METRICS_PORT: 'off',
        ACR_REGISTRY_BIND_ADDRESS: '127.0.0.1',
      },
    });
    try {
      await program.line(/connected to the hub/);
      await knows(`http://127.0.0.1:${port}`, operator);
      const image = sampleImage(['built']);
      await push(`127.0.0.1:${port}`, operator, 'plant/hello', image, '1');
      await pullImage(`http://127.0.0.1:${port}`, operator, 'plant/hello', '1');
      // By way of express.
      expect((await fetch(`http://127.0.0.1:${port}/elsewhere`)).status).to.equal(404);
      await site.hub.waitFor((hub) => hub.twin('registry').reported['version'] === '0.1.0');
      expect(site.hub.twin('registry').reported).to.include({ inSync: true, mode: 'ReadWrite' });
    } finally {
      expect(await program.stop(), program.output).to.equal(0);
    }
  });

  it('brings what its parent has, and carries up what is pushed', async () => {
    const cloud = await openCloud(stage, 'builtlayer');
    const above = sampleImage(['from above']);
    const below = sampleImage(['from below']);
    await push(cloud.endpoint, cloudAccount, 'plant/above', above, '1');
    const layer = await stage.open(
      startLayer({
        name: 'builtlayer',
        directory: join(stage.directory, 'layer'),
        built: join(stage.directory, 'dist'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: await layerSettings(),
      }),
    );
    await arrives(layer.url, operator, ['plant/above', '1'], above);
    await push(layer.endpoint, operator, 'plant/below', below, '1');
    await arrives(`http://${cloud.endpoint}`, cloudAccount, ['plant/below', '1'], below);
  });

  it('tells the licences of what it is made of, and of nothing else', async () => {
    const licences = await readFile(join(stage.directory, 'dist/LICENSES.txt'), 'utf8');
    const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const has = (name: string): boolean => new RegExp(`^${name} \\d.*, `, 'm').test(licences);
    expect(Object.keys(dependencies).filter((name) => !has(name))).to.deep.equal(['yaml']); // of the tools
    expect(['mocha', 'esbuild', '@azure/storage-blob'].filter(has)).to.deep.equal([]);
    expect(licences).to.contain('Permission is hereby granted').and.contain('Apache License');
  });
});
