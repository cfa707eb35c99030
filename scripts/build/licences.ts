import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** The licences of the packages that `files` are of, one after the other. */
export async function licencesOf(files: readonly string[]): Promise<string> {
  const packages = new Set(files.map((file) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(resolve(file))?.[0]));
  const texts: string[] = [];
  for (const directory of [...packages].filter((path) => path !== undefined).sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as {
      readonly [key in 'name' | 'version' | 'license']?: string;
    };
    texts.push(`${String(name)} ${String(version)}, ${String(license)}\n`);
    for (const file of (await readdir(directory)).filter((entry) => /^(?:licen[cs]e|notice|copying)/i.test(entry))) {
      texts.push((await readFile(join(directory, file), 'utf8')).trim() + '\n');
    }
  }
  return texts.join('\n');
}
