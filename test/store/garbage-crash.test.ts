import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { collectGarbage, dayMs, expectOnlyNeeded, pullEverything } from './garbage.ts';

interface Push {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const rounds = 10;
const writer = fileURLToPath(new URL('./garbage-crash-writer.ts', import.meta.url));

describe('a store killed in the middle of garbage collection', () => {
  let directory: string;
  before(async () => {
    directory = await temporaryDirectory();
  });
  after(() => rm(directory, { recursive: true }));

  for (let round = 0; round < rounds; round += 1) {
    it(`has what was pushed, and is clean after the next collections, round ${round}`, async () => {
      const last = await writeUntilKilled(String(round), 5 + round * 7);
      const clock = new ManualClock(new Date(Date.now() + 30 * dayMs));
      const log = new RecordingLog();
      const store = await openStore({ directory, clock, log });
      try {
        for (const push of last) {
          expect(await store.resolveTag(repository(push.repository), tag(push.tag))).to.equal(push.digest);
        }
        await pullEverything(store);
        for (let pass = 0; pass < 3; pass += 1) {
          await collectGarbage(store, { untagged: { olderThanMs: dayMs } });
          await clock.advance(dayMs);
        }
        await expectOnlyNeeded(store, directory);
        expect(log.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
      } finally {
        await store.close();
      }
    });
  }

  /** Kills the writer once so many blobs were collected; the last push each of its two hands acknowledged. */
  async function writeUntilKilled(round: string, blobs: number): Promise<Push[]> {
    const child = spawn(process.execPath, ['--import', 'tsx', writer, directory, round], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    const last = new Map<string, Push>();
    let collected = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line) as Push | { collected: number };
      if ('collected' in said) collected += said.collected;
      else last.set(said.repository, said);
      if (collected >= blobs && last.size === 2) child.kill('SIGKILL');
    }
    expect(await ended).to.deep.equal([null, 'SIGKILL']);
    return [...last.values()];
  }
});
