import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { partBytes } from '../../modules/registry/src/parent/upload.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import type { RegistryServer } from '../http/registry-server.ts';
import { contentsOf, openParent } from './faulty-site.ts';

/** ROUNDS=300 for a long run, SEED to repeat one. */
const rounds = Number(process.env['ROUNDS'] ?? 30);
const seed = Number(process.env['SEED'] ?? 42);
/** Without ROUNDS a slow machine makes fewer. */
const longestMs = process.env['ROUNDS'] === undefined ? 30_000 : Infinity;
const program = fileURLToPath(new URL('./mortal-site.ts', import.meta.url));
const down = repository('plant/down');

/** The process is killed (SIGKILL) at any step of bringing down and carrying up; at the end both sides are the same. */
describe('a registry killed again and again', function () {
  this.timeout(rounds * 20_000);

  let directory: string;
  let parent: RegistryServer;
  const acknowledged = new Map<string, string>();

  before(async () => {
    directory = await temporaryDirectory();
    parent = await openParent();
  });
  after(async () => {
    await parent.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** The exit code; null when it was killed, which it is at its `lines`-th line. */
  async function run(round: number, images: number, lines: number): Promise<unknown> {
    const args = ['--import', 'tsx', program, directory, parent.host, String(round), String(images)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    let heard = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line) as { acknowledged?: string; digest: string };
      if (said.acknowledged !== undefined) acknowledged.set(said.acknowledged, said.digest);
      heard += 1;
      if (heard === lines) child.kill('SIGKILL');
    }
    const [code] = (await ended) as [unknown];
    return code;
  }

  it(`has everything, and the same as its parent, after ${rounds} rounds`, async () => {
    const steps = fc.sample(
      fc.record({
        lines: fc.integer({ min: 1, max: 24 }),
        images: fc.integer({ min: 1, max: 3 }),
        above: fc.integer({ min: 1, max: 3 }),
      }),
      { numRuns: rounds, seed },
    );
    const endMs = Date.now() + longestMs;
    let [made, killed] = [0, 0];
    for (const [round, { lines, images, above }] of steps.entries()) {
      if (Date.now() > endMs) break;
      for (let count = 0; count < above; count += 1) {
        const image = sampleImage([randomBytes(400_000), `${round} ${count}`, randomBytes(70_000)]);
        await pushImage(parent.store.local, down, image, tag(`r${round}-${count}`));
        await parent.store.local.putManifest(down, image.manifest, { tag: tag('latest') });
      }
      if ((await run(round, images, lines)) === null) killed += 1;
      made += 1;
    }
    console.log(`      ${made} rounds, ${killed} of them killed, ${acknowledged.size} pushes acknowledged`);
    expect(killed).to.be.at.least(made / 3);
    expect(await run(rounds, 0, Infinity)).to.equal(0);

    const log = new RecordingLog();
    const store = await openStore({ directory, clock: new ManualClock(), log });
    try {
      const contents = await contentsOf(store);
      expect(contents).to.deep.equal(await contentsOf(parent.store));
      for (const [name, digest] of acknowledged) expect(contents).to.include(`plant/up:${name} ${digest}`);
      expect(log.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
    } finally {
      await store.close();
    }
  });
});

describe('a registry killed in the middle of a layer that it carries up', function () {
  this.timeout(60_000);

  it('goes on there: no more than one part of it is sent twice', async () => {
    const layerBytes = 2 * partBytes + 1_000_000;
    const directory = await temporaryDirectory();
    const parent = await openParent();
    const proxy = await startFaultProxy(parent.host);
    const start = (images: number) =>
      spawn(
        process.execPath,
        ['--import', 'tsx', program, directory, proxy.host, 'large', String(images), String(layerBytes)],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
    try {
      for (const bytes of [partBytes / 2, partBytes + 1_000_000]) {
        const child = start(proxy.sentBytes === 0 ? 1 : 0);
        const ended = once(child, 'exit');
        await until(`${bytes} bytes went up`, async () => proxy.sentBytes >= bytes);
        child.kill('SIGKILL');
        expect(await ended).to.deep.equal([null, 'SIGKILL']);
      }
      expect(await once(start(0), 'exit')).to.deep.equal([0, null]);
      // Config, layer, and a small one.
      expect(proxy.asked('POST /v2/plant/up/blobs/uploads/')).to.equal(3);
      expect(proxy.sentBytes).to.be.within(layerBytes, layerBytes + partBytes);
      const store = await openStore({ directory, clock: new ManualClock(), log: new RecordingLog() });
      expect(await contentsOf(parent.store)).to.deep.equal(await contentsOf(store));
      await store.close();
    } finally {
      await proxy.close();
      await parent.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
