import { MemoryLevel } from 'memory-level';
import { rm } from 'node:fs/promises';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { describeImageRegistry } from './image-registry.ts';

for (const [name, options] of [
  ['store on memory-level', () => ({ index: new MemoryLevel() })],
  ['store on LevelDB', () => ({})],
] as const) {
  for (const face of ['local', 'replica'] as const) {
    describeImageRegistry(`${name}, ${face}`, async () => {
      const directory = await temporaryDirectory();
      const store = await openStore({ directory, clock: new ManualClock(), log: new RecordingLog(), ...options() });
      return {
        source: store,
        target: store[face],
        async close() {
          await store.close();
          await rm(directory, { recursive: true });
        },
      };
    });
  }
}
