import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { blobPath } from '../../modules/registry/src/store/layout.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { withStore } from '../store/with-store.ts';

const large = Buffer.alloc(100_000, 'large');
const digest = digestOf(large);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...commandLine: string[]): Promise<Ended> {
  return promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/verify-store.ts', ...commandLine]).then(
    (said) => ({ code: 0, ...said }),
    (error: unknown) => error as Ended,
  );
}

describe('scripts/verify-store.ts', () => {
  it(
    'ends with 0, with 1 for damage and 2 for a store in use; a repair leaves what must come again',
    withStore(async ({ store, directory }) => {
      await pushImage(store.local, repository('plant'), sampleImage([large]), tag('1'));
      const open = await run('--data', directory);
      expect(open).to.include({ code: 2, stdout: '' });
      expect(open.stderr).to.include('in use by another process').and.include('Usage:');
      await store.close();

      expect(await run('--data', directory)).to.include({ code: 0, stderr: '' });
      await writeFile(blobPath(directory, digest), Buffer.alloc(large.length, 'other'));
      expect(await run('--data', directory, '--shallow')).to.include({ code: 0 });
      const found = await run('--data', directory);
      expect(found.code).to.equal(1);
      expect(found.stdout).to.include(`found blob plant@${digest}`).and.include('1 found, 0 repaired');
      const repaired = await run('--data', directory, '--repair');
      expect(repaired.code).to.equal(1);
      expect(repaired.stdout).to.include(`repaired blob plant@${digest}`);

      await rm(join(directory, 'index', 'CURRENT'));
      expect((await run('--data', directory)).stderr).to.include('only a repair');
      expect((await run('--data', directory, '--repair')).stdout).to.include('The index was found repaired');
    }),
  );

  for (const [what, commandLine, word] of [
    ['no data volume', [], '--data'],
    ['a folder that is none', ['--data', '/tmp'], 'no index'],
    ['an unknown option', ['--data', '/tmp', '--fix'], '--fix'],
  ] as const) {
    it(`ends with 2 and says why, with ${what}`, async () => {
      const ended = await run(...commandLine);
      expect(ended).to.include({ code: 2, stdout: '' });
      expect(ended.stderr).to.include(word);
    });
  }
});
