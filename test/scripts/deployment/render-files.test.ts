import { execFile } from 'node:child_process';
import { copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { manifestName, RenderError, renderFiles } from '../../../scripts/deployment/render-files.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';
import { root, templates } from './samples.ts';

const secret = 'correct-horse-battery-staple';

describe('renderFiles()', () => {
  let directory: string;
  let env: string;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    env = join(directory, 'plant7.env');
    const example = await readFile(`${root}.env.example`, 'utf8');
    await writeFile(env, example.replaceAll(/<password of [^>]*>/g, secret));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const output = (): string => join(directory, 'config');
  const render = (template: string, ...more: string[]) =>
    renderFiles(['--template', root + template, '--env', env, '--output', output(), ...more], {});

  for (const template of templates) {
    it(`writes what ${template} makes for its owner only, and shows no secret`, async () => {
      const { file, description, command } = await render(template, '--platform', 'arm64v8');
      expect(file).to.equal(join(output(), manifestName(template, 'arm64v8')));
      expect(JSON.parse(await readFile(file, 'utf8'))).to.have.property('modulesContent');
      expect((await stat(file)).mode & 0o777).to.equal(0o600);
      const shown = [...description, command].join('\n');
      expect(shown).to.include('connected-registry:0.1.0-arm64v8').and.include(file);
      expect(shown).not.to.include(secret).and.not.include('$scrypt');
      expect(await readFile(file, 'utf8')).to.include(secret);
    });
  }

  it('says what is accepted without effect', async () => {
    const commandLine = ['--template', `${root}deployment.template.json`, '--env', env, '--output', output()];
    const { description } = await renderFiles(commandLine, { SYNC_SCHEDULE: '* * * * *' });
    expect(description.filter((line) => line.startsWith('warning: '))).to.deep.equal([
      'warning: /modulesContent/connectedregistry/properties.desired/parent/syncProperties/syncWindow ' +
        'has no effect: the schedule * * * * * is continuous',
    ]);
    expect((await render('deployment.template.json')).description.join('\n')).not.to.include('warning: ');
  });

  it('prints the command for one device, or for a fleet', async () => {
    expect((await render('deployment.template.json')).command).to.match(/^az iot edge set-modules .*--content /);
    const layered = await render('deployment.layered.template.json');
    expect(layered.command).to.match(/^az iot edge deployment create --layered .*--content /);
  });

  it('lets the environment win over the .env file, and --platform over DEFAULT_PLATFORM', async () => {
    const commandLine = ['--template', `${root}deployment.template.json`, '--env', env, '--output', output()];
    const environment = { DEFAULT_PLATFORM: 'arm32v7', CONTAINER_REGISTRY_SERVER: 'fabrikam.azurecr.io' };
    const { file, description } = await renderFiles(commandLine, environment);
    expect(file).to.match(/deployment\.arm32v7\.json$/);
    expect(description.join()).to.include('fabrikam.azurecr.io/connected-registry:0.1.0-arm32v7');
    expect((await renderFiles([...commandLine, '--platform', 'amd64'], environment)).file).to.match(/amd64\.json$/);
  });

  const refused: readonly (readonly [string, (commandLine: string[]) => Promise<string[]> | string[], RegExp])[] = [
    [
      'a platform that does not exist',
      (line) => [...line, '--platform', 'riscv'],
      /^--platform must be one of amd64, /,
    ],
    [
      'a template that is not there',
      (line) => [...line, '--template', 'none.json'],
      /^none\.json: cannot be read \(ENOENT\)/,
    ],
    ['a .env that is named and not there', (line) => [...line, '--env', 'none.env'], /^none\.env: cannot be read/],
    [
      'a template that is no JSON',
      (line) => [...line, '--template', `${root}README.md`],
      /README\.md: not JSON at line 1, /,
    ],
    [
      'a .env with a broken line',
      async (line) => {
        await writeFile(env, `${await readFile(env, 'utf8')}\nPASSWORD ${secret}\n`);
        return line;
      },
      /plant7\.env: line \d+ must be NAME=value/,
    ],
    [
      'a template beside which there are no modules',
      async (line) => {
        await copyFile(`${root}deployment.template.json`, join(directory, 'deployment.template.json'));
        return [...line, '--template', join(directory, 'deployment.template.json')];
      },
      /names modules\/registry, which holds no module\.json/,
    ],
  ];
  for (const [what, prepare, message] of refused) {
    it(`refuses ${what} and writes nothing`, async () => {
      const whole = ['--template', `${root}deployment.template.json`, '--env', env, '--output', output()];
      const failure: unknown = await renderFiles(await prepare(whole), {}).catch((error: unknown) => error);
      expect(failure).to.be.instanceOf(RenderError);
      expect((failure as Error).message)
        .to.match(message)
        .and.not.include(secret);
      expect(await readdir(directory)).not.to.include('config');
    });
  }
});

describe('scripts/render-deployment.ts', () => {
  const run = async (...commandLine: string[]) => {
    const environment = { PATH: process.env['PATH'] };
    const script = ['--import', 'tsx', 'scripts/render-deployment.ts', ...commandLine];
    return promisify(execFile)(process.execPath, script, { cwd: root, env: environment }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: unknown) => error as { code: number; stdout: string; stderr: string },
    );
  };

  it('prints the file, what is in it and the command', async () => {
    const directory = await temporaryDirectory();
    try {
      const unfilled = await run('--env', '.env.example', '--output', directory);
      expect(unfilled).to.include({ code: 2, stdout: '' });
      expect(unfilled.stderr).to.include('variable CONTAINER_REGISTRY_PASSWORD still says <password of the token>');
      const filled = join(directory, 'filled.env');
      const example = await readFile(`${root}.env.example`, 'utf8');
      await writeFile(filled, example.replaceAll(/<password of [^>]*>/g, secret));
      const { stdout, stderr, code } = await run('--env', filled, '--output', directory);
      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
      expect(stdout).to.match(/deployment\.amd64\.json .*\n {2}module edgeAgent: .*\n/);
      expect(stdout).to.match(/\nApply it: az iot edge set-modules .*\n$/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('ends with 2, says what is refused, and how it is used where that was wrong', async () => {
    const refused = await run('--env', '/dev/null');
    expect(refused).to.include({ code: 2, stdout: '' });
    expect(refused.stderr).to.include('variable CONTAINER_REGISTRY_SERVER is not defined').and.not.include('Usage:');
    const misused = await run('--environment', 'x');
    expect(misused).to.include({ code: 2, stdout: '' });
    expect(misused.stderr).to.include('Usage: npm run render');
  });
});
