import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { run } from '../helpers/program.ts';
import { listings } from './listings.ts';
import { memory } from './memory.ts';
import { memoryLimits } from './memory-limits.ts';
import { pushes } from './pushes.ts';
import { reads } from './reads.ts';
import { heading, row } from './row.ts';
import { smallSyncs } from './small-syncs.ts';
import { openStage } from './stage.ts';
import { stalls } from './stalls.ts';
import { starts } from './starts.ts';
import { syncs } from './sync.ts';

/**
 * Our build, Debian's docker-registry and nginx under the same load in the same run: rounds are interleaved, the
 * order alternates, and each ratio is the median over the rounds. These machines are shared: ratios mean something,
 * rates alone do not.
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    /** A regular expression: rows whose name it matches. */
    only: { type: 'string', default: '' },
    /** A directory that keeps the data volume of a million manifests for the next run. */
    million: { type: 'string' },
  },
});

const stage = await openStage({ seconds: Number(flags.seconds), million: flags.million });
try {
  const works = [reads, pushes, listings, starts, memory, memoryLimits, stalls, syncs, smallSyncs]
    .flatMap((group) => group(stage))
    .filter(({ name }) => new RegExp(flags.only).test(name));
  const [docker, nginx] = await Promise.all([run('docker-registry', '--version'), run('nginx', '-v')]);
  console.log(
    [
      new Date().toISOString().slice(0, 10),
      `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Linux ${release()}`,
      `Node ${process.version}, ${docker.trim()}, ${nginx.trim()}`,
      `${flags.rounds} rounds of ${flags.seconds} seconds`,
    ].join('; '),
  );
  console.log(`\n${heading}`);
  for (const work of works) console.log(await row(work, Number(flags.rounds)));
} finally {
  await stage.close();
}
