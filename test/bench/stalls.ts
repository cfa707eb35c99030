import { until } from '../helpers/until.ts';
import { blobPath, pushContent, startOurs, type Contender } from './contenders.ts';
import { pushLoad } from './push.ts';
import type { Stage } from './stage.ts';
import type { Work } from './work.ts';
import { load } from './wrk.ts';

const sizeBytes = 512 * 1024 * 1024;

/** Loaded into the measured process only: says at SIGWINCH how long its event loop stood still at most since the last time. */
const monitor = `
import { monitorEventLoopDelay } from 'node:perf_hooks';
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('SIGWINCH', () => {
  process.stderr.write('longest stall ' + delay.max / 1e6 + ' ms\\n');
  delay.reset();
});
`;

/** How long nobody else is answered, while one client moves 512 MiB. */
export function stalls(stage: Stage): Work[] {
  const watched = (): Promise<Contender> =>
    stage.once('watched', async () => {
      const preload = `data:text/javascript,${encodeURIComponent(monitor)}`;
      return stage.keep(await startOurs({ directory: await stage.directory('stalls'), preload }));
    });
  const blob = (): Promise<string> =>
    stage.once('watched blob', async () => pushContent(await watched(), await stage.bytes(sizeBytes)));
  return [
    {
      name: 'longest event-loop stall, GET 512 MiB',
      unit: 'ms',
      goal: { atMost: 20 },
      measure: {
        ours: async () => {
          const [paths, contender] = [[blobPath(await blob())], await watched()];
          const { url, headers } = contender;
          await longestStallMs(contender);
          await load({ directory: await stage.directory('wrk'), url, headers, paths, connections: 1, seconds: 2 });
          return longestStallMs(contender);
        },
      },
    },
    {
      name: 'longest event-loop stall, PUT 512 MiB',
      unit: 'ms',
      goal: { atMost: 20 },
      measure: {
        ours: async () => {
          const contender = await watched();
          await longestStallMs(contender);
          await pushLoad(contender, { sizeBytes, count: 1, concurrency: 1 });
          return longestStallMs(contender);
        },
      },
    },
  ];
}

/** Since it was asked last. */
async function longestStallMs({ program }: Contender): Promise<number> {
  const said = (): string[] => program.lines.filter((line) => line.startsWith('longest stall'));
  const before = said().length;
  program.process.kill('SIGWINCH');
  const line = await until('the longest stall is told', () => Promise.resolve(said()[before]));
  return Number(/[\d.]+/.exec(line)?.[0]);
}
