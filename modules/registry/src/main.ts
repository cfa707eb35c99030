import closeWithGrace from 'close-with-grace';
import { readFile } from 'node:fs/promises';
import { startRegistry } from './registry.ts';
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

try {
  const registry = await startRegistry({
    environment: read.environment,
    variables,
    version: await packageVersion(),
    log,
    showAdmin: (name, password) =>
      process.stdout.write(`\n  First start: user ${name}, password ${password}\n  It is shown this once.\n\n`),
  });
  closeWithGrace({ delay: graceMs, logger: false }, async ({ err, signal }) => {
    if (err) log.fatal('unexpected error, closing', { error: err });
    else log.info('closing', { signal });
    await registry.close();
  });
} catch (error) {
  log.fatal('cannot start', { error });
  process.exit(1);
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
