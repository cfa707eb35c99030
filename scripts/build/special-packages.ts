import type { Plugin } from 'esbuild';

/** LevelDB's native part is found and loaded by its own package, at run time. */
export const nativeLevel: Plugin = {
  name: 'native LevelDB',
  setup(build) {
    build.onResolve({ filter: /^\.\/binding$/ }, ({ importer }) =>
      importer.includes('/classic-level/') ? { path: 'classic-level/binding.js', external: true } : undefined,
    );
  },
};

/** What the Azure SDK loads for uploads of files from devices: modules have none, and it is 1.5 MB of code. */
export const leftOut: Plugin = {
  name: 'left out',
  setup(build) {
    build.onResolve({ filter: /^@azure\/storage-blob$/ }, ({ path }) => ({ path, namespace: 'left out' }));
    build.onLoad({ filter: /.*/, namespace: 'left out' }, () => ({ contents: '' }));
  },
};
