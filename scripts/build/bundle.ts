import { build } from 'esbuild';
import { rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiledSchemas } from './compiled-schemas.ts';
import { licencesOf } from './licences.ts';
import { leftOut, nativeLevel } from './special-packages.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Writes the registry as few files into `directory`: to find and load its thousand modules one by one takes longer
 * than all else at the start, and 10 MB. What is loaded on demand in the sources is a file of its own. Names of
 * functions are kept, and source maps lie beside for debuggers and profilers.
 */
export async function bundle(directory: string): Promise<void> {
  await rm(resolve(root, directory), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['modules/registry/src/main.ts'],
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    define: { 'process.env.NODE_ENV': '"production"' },
    // For packages that are CommonJS.
    banner: { js: `import{createRequire}from'node:module';const require=createRequire(import.meta.url);` },
    // One of the two it has, else the sources get the one and cron-parser the other.
    alias: { luxon: fileURLToPath(import.meta.resolve('luxon')) },
    plugins: [compiledSchemas, nativeLevel, leftOut],
  });
  await writeFile(resolve(root, directory, 'LICENSES.txt'), await licencesOf(Object.keys(metafile.inputs)));
}
