import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * The import map, executed (README, "Rooms").
 * Each room names the rooms it may import; its own files and `errors.ts` are always allowed.
 * Packages named under `packages` belong to one room only.
 */
const words = ['oci'];
const wanted = [...words, 'settings', 'status'];
const tools = ['store', 'auth', 'parent', 'gateway'];
const rooms = {
  oci: [],
  settings: words,
  status: [...words, 'settings'],
  store: wanted,
  auth: wanted,
  parent: wanted,
  gateway: wanted,
  http: [...wanted, ...tools],
  sync: [...wanted, ...tools],
  twin: [...wanted, ...tools],
};
const packages = {
  twin: ['azure-iot-device', 'azure-iot-device-mqtt', 'azure-iot-common'],
  store: ['level', 'memory-level', 'abstract-level'],
  parent: ['undici'],
  http: ['express'],
  status: ['winston', 'prom-client'],
  settings: ['ajv', 'cron-parser', 'luxon'],
  auth: ['jose'],
};

const roomRules = Object.entries(rooms).map(([room, allowed]) => {
  const foreign = Object.keys(rooms).filter((name) => name !== room && !allowed.includes(name));
  const locked = Object.entries(packages).flatMap(([owner, names]) => (owner === room ? [] : names));
  return {
    files: [`modules/registry/src/${room}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: [...foreign.map((name) => `**/${name}/*`), '**/main.ts'],
              message: `${room}/ may not import this room.`,
            },
            { group: locked.flatMap((name) => [name, `${name}/*`]), message: `This package belongs to another room.` },
          ],
        },
      ],
    },
  };
});

/** What the tools that make settings and manifests take from the module: its words and rules, and passwords. */
const forScripts = ['oci/', 'settings/', 'auth/password-hash', 'twin/twin-limits', 'twin/twin', 'twin/merge-patch'];
const scriptRules = {
  files: ['scripts/deployment/**/*.ts', 'scripts/hierarchy/**/*.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: `/modules/registry/src/(?!${forScripts.map((path) => (path.endsWith('/') ? path : `${path}\\.ts$`)).join('|')})`,
            message: 'These tools may not import this part of the module.',
          },
        ],
      },
    ],
  },
};

export default defineConfig(
  { ignores: ['dist/', 'coverage/', 'data/', 'config/', 'node_modules/'] },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: ['./test/tsconfig.json'], tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
        { selector: 'ExportAllDeclaration', message: 'No barrels.' },
      ],
    },
  },
  ...roomRules,
  scriptRules,
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-floating-promises': ['error', { ignoreIIFE: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['eslint.config.js'],
    ...tseslint.configs.disableTypeChecked,
    rules: { ...tseslint.configs.disableTypeChecked.rules, 'no-restricted-syntax': 'off' },
  },
);
