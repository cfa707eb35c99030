import closeWithGrace from 'close-with-grace';
import { readFile } from 'node:fs/promises';
import type { Registry } from './registry.ts';
import type { Environment } from './settings/environment.ts';
import { readEnvironment } from './settings/read-environment.ts';
import { createLog, levelFromRuntime } from './status/create-log.ts';

/** Docker sends SIGKILL ten seconds after SIGTERM. */
const graceMs = 9_000;

const variables = process.env;
const log = createLog({ level: levelFromRuntime(variables['RuntimeLogLevel']) });
const read = readEnvironment(variables);
if (!read.ok) {
  for (const { path, message } of read.problems) log.fatal(`${path.slice(1)} ${message}`);
  process.exit(1);
}

const starting = start(read.environment);
// Before the start is through: process 1 of a container never gets a signal that it has no handler for.
closeWithGrace({ delay: graceMs, logger: false }, async ({ err, signal }) => {
  if (err) log.fatal('unexpected error, closing', { error: err });
  else log.info('closing', { signal });
  const registry = await starting;
  await registry.close();
});
log.info('connected registry starts');
try {
  await starting;
} catch (error) {
  log.fatal('cannot start', { error });
  process.exit(1);
}

/** Loads most of the program, which takes as long as to start it. */
async function start(environment: Environment): Promise<Registry> {
  const { startRegistry } = await import('./registry.ts');
  return startRegistry({
    environment,
    variables,
    version: await packageVersion(),
    log,
    showAdmin: (name, password) =>
      process.stdout.write(`\n  First start: user ${name}, password ${password}\n  It is shown this once.\n\n`),
  });
}

/** From the nearest package.json above this file, in the source tree and in the build. */
async function packageVersion(): Promise<string> {
  for (let folder = new URL('./', import.meta.url); folder.pathname !== '/'; folder = new URL('../', folder)) {
    try {
      return (JSON.parse(await readFile(new URL('package.json', folder), 'utf8')) as { version: string }).version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}
