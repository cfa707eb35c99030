import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/**
 * For a `before` hook: skips its suite with a message on a machine that lacks one of the programs, or root where
 * `root` is asked for. With CI=true it throws, so that no machine of the gate goes without.
 */
export async function needs(context: Mocha.Context, ...wanted: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const one of wanted) {
    if (!(one === 'root' ? process.getuid?.() === 0 : await isInstalled(one))) missing.push(one);
  }
  if (missing.length === 0) return;
  const message = `needs ${missing.join(', ')}`;
  if (process.env['CI'] === 'true') throw new Error(message);
  console.warn(`skipped: ${String(context.test?.parent?.title)} ${message}`);
  context.skip();
}

async function isInstalled(program: string): Promise<boolean> {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/bin'];
  const found = await Promise.all(
    directories.map((directory) =>
      access(join(directory, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}
