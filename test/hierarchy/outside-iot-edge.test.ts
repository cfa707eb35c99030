import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ask } from '../helpers/ask.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { Program } from '../helpers/program.ts';
import { pullImage, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { startScriptedRegistry } from '../parent/scripted-registry.ts';
import { layerSettings, operator, passwordsOf } from './layer-settings.ts';
import { knows, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';

interface Reported {
  readonly mode: string;
  readonly settings: { readonly status: string; readonly problems: readonly { path: string; message: string }[] };
}

interface UnsaidReport {
  readonly registrySyncResult: { readonly syncState: string };
}

const tsx = createRequire(import.meta.url).resolve('tsx');
const main = new URL('../../modules/registry/src/main.ts', import.meta.url).pathname;

/** `main.ts` as a user starts it: no hub, no parent, the data below the working directory. */
describe('a registry outside IoT Edge', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;

  before(async () => {
    stage = await openStage();
  });

  after(() => stage.close());

  /** Starts it in a directory of its own; whoever calls ends it. */
  async function start(name: string, variables: Readonly<Record<string, string>> = {}): Promise<Program> {
    const cwd = join(stage.directory, name);
    await mkdir(cwd, { recursive: true });
    return new Program({
      command: process.execPath,
      arguments: ['--import', tsx, main],
      cwd,
      environment: { ACR_REGISTRY_HTTPS_PORT: 'off', ACR_REGISTRY_METRICS_PORT: 'off', ...variables },
    });
  }

  async function end(program: Program): Promise<void> {
    expect(await program.stop(), program.output).to.equal(0);
  }

  it('without any settings prints an admin password once; it works, also after a restart', async () => {
    const port = String(await freePort());
    const first = await start('bare', { ACR_REGISTRY_HTTP_PORT: port });
    const [, name = '', password = ''] = /user (\w+), password (\w+)/.exec(await first.line(/password/)) ?? [];
    await first.line(/connected registry started/);
    const url = `http://127.0.0.1:${port}`;
    const admin: Account = { name, password };
    const image = sampleImage(['hello']);
    await push(`127.0.0.1:${port}`, admin, 'any/name', image, '1');
    expect(await pullImage(url, admin, 'any/name', '1')).to.include({ digest: image.manifest.digest });
    expect(await ask(`${url}/v2/`, { name, password: 'wrong' })).to.include({ status: 401 });
    expect(await ask(`${url}/v2/`, undefined)).to.include({ status: 401 });
    await end(first);

    const second = await start('bare', { ACR_REGISTRY_HTTP_PORT: port });
    await second.line(/connected registry started/);
    await pullImage(url, admin, 'any/name', '1');
    await end(second);
    expect(second.output).not.to.match(/password/i);
    expect(first.lines.filter((line) => line.includes(password))).to.have.length(1);
  });

  it('with a parent in its connection string asks it for nothing until its settings came, and then by these', async () => {
    const parent = await startScriptedRegistry((_, response) => response.writeHead(503).end());
    const program = await start('unsaid', {
      ACR_REGISTRY_HTTP_PORT: String(await freePort()),
      ACR_REGISTRY_CONNECTION_STRING: [
        ...['ConnectedRegistryName=line3', 'SyncTokenName=sync', 'SyncTokenPassword=secret'],
        ...[`ParentGatewayEndpoint=${parent.endpoint}`, 'ParentEndpointProtocol=http'],
      ].join(';'),
    });
    try {
      await program.line(/connected registry started/);
      const data = join(stage.directory, 'unsaid/data');
      const state = async () => {
        const report = JSON.parse(await readFile(join(data, 'reported.json'), 'utf8')) as UnsaidReport;
        return report.registrySyncResult.syncState;
      };
      expect(await until('it reports', state)).to.equal('Pending');
      expect(parent.lines).to.deep.equal([]);
      await writeFile(join(data, 'settings.json'), JSON.stringify({ mode: 'ReadOnly', repositories: ['plant/hello'] }));
      await until('the parent is asked', async () => parent.lines.length > 0);
    } finally {
      await end(program);
      await parent.close();
    }
  });

  describe('with a settings file', () => {
    const guest: Account = { name: 'guest', password: 'guest-password' };
    let program: Program;
    let settingsFile: string;
    let url: string;

    before(async () => {
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      await mkdir(join(stage.directory, 'filed'));
      settingsFile = join(stage.directory, 'filed/settings.jsonc');
      await save(await layerSettings());
      program = await start('filed', {
        ACR_REGISTRY_SETTINGS_FILE: settingsFile,
        ACR_REGISTRY_HTTP_PORT: String(port),
      });
      await Promise.race([
        knows(url, operator),
        program.exited.then(() => Promise.reject(new Error(`it ended:\n${program.output}`))),
      ]);
    });

    after(() => end(program));

    const save = (document: object | string) =>
      writeFile(settingsFile, typeof document === 'string' ? document : JSON.stringify(document, undefined, 2));
    const startPush = () => ask(`${url}/v2/plant/hello/blobs/uploads/`, operator, { method: 'POST' });

    function reports(what: string, condition: (report: Reported) => boolean): Promise<Reported> {
      const file = join(stage.directory, 'filed/data/reported.json');
      return until(what, async () => {
        const report = JSON.parse(await readFile(file, 'utf8')) as Reported;
        return condition(report) && report;
      });
    }

    it('takes an edit as a twin update: another client, another mode', async () => {
      const settings = await layerSettings();
      const [client] = settings['clientTokens'] as object[];
      const both = [client, { ...client, name: guest.name, passwords: await passwordsOf(guest) }];
      expect(await startPush()).to.include({ status: 202 });
      await save(`// edited by hand\n${JSON.stringify({ ...settings, mode: 'ReadOnly', clientTokens: both })}`);
      await knows(url, guest);
      expect(await startPush()).to.include({ status: 405, code: 'UNSUPPORTED' });
      const report = await reports('ReadOnly', ({ mode }) => mode === 'ReadOnly');
      expect(report.settings.status).to.equal('Applied');
    });

    it('refuses an edit that is not JSON, says where, and changes nothing', async () => {
      await save('{\n  "mode": "ReadWrite",\n  "clientTokens": [}\n}\n');
      const { settings, mode } = await reports('Rejected', (report) => report.settings.status === 'Rejected');
      expect(settings.problems).to.have.length(1);
      expect(settings.problems[0]?.message).to.match(/line 3, column 20/);
      expect(mode).to.equal('ReadOnly');
      expect(await ask(`${url}/v2/`, guest)).to.include({ status: 200 });
      expect(await startPush()).to.include({ status: 405 });
    });

    it('refuses an edit that breaks rules, names every problem, and changes nothing', async () => {
      await save({ mode: 'Both', clientTokens: [{ name: 'x', scopeMap: 'nowhere' }], transfer: { concurrency: 0 } });
      const paths = ['/clientTokens/0/scopeMap', '/mode', '/transfer/concurrency'];
      const { mode } = await reports('every problem', ({ settings }) => {
        return (
          settings.problems
            .map(({ path }) => path)
            .sort()
            .join() === paths.join()
        );
      });
      expect(mode).to.equal('ReadOnly');
      expect(await ask(`${url}/v2/`, guest)).to.include({ status: 200 });
    });

    it('ends with code 0 before docker loses its patience, a slow pull under way', async () => {
      await save(await layerSettings());
      await until('pushes are taken', async () => (await startPush()).status === 202);
      const image = sampleImage([randomBytes(32 * 1024 * 1024)]);
      await push(new URL(url).host, operator, 'plant/slow', image, '1');
      const { name, password } = operator;
      const pull = request(`${url}/v2/plant/slow/blobs/${layerOf(image.manifest.bytes)}`, {
        auth: `${name}:${password}`,
      });
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        pull.once('response', resolve).once('error', reject).end();
      });
      expect(answer.statusCode).to.equal(200);
      // Nobody reads: the answer hangs in the socket until the server gives it up.
      const cut = new Promise((resolve) => answer.once('error', resolve));
      const began = Date.now();
      expect(await program.stop(), program.output).to.equal(0);
      expect(Date.now() - began).to.be.below(10_000);
      answer.resume();
      await cut;
    });
  });

  describe('with a wrong environment', () => {
    const secret = 'very-secret-password';
    for (const [what, variables, named] of [
      ['a port that is none', { ACR_REGISTRY_HTTP_PORT: '80800' }, 'ACR_REGISTRY_HTTP_PORT'],
      [
        'a connection string cut short',
        {
          ACR_REGISTRY_CONNECTION_STRING: `ConnectedRegistryName=plant7;SyncTokenName=sync;SyncTokenPassword=${secret}`,
        },
        'ACR_REGISTRY_CONNECTION_STRING/ParentGatewayEndpoint',
      ],
      [
        'a connection string with a typo',
        { ACR_REGISTRY_CONNECTION_STRING: `SyncTokenPasword=${secret}` },
        'ACR_REGISTRY_CONNECTION_STRING',
      ],
    ] as const) {
      it(`ends with code 1 and names the variable: ${what}`, async () => {
        const program = await start('wrong', variables);
        expect(await program.exited, program.output).to.equal(1);
        expect(program.output).to.contain(named).and.not.contain(secret);
      });
    }
  });
});

function layerOf(manifest: Buffer): string {
  const { layers } = JSON.parse(manifest.toString()) as { layers: { digest: string }[] };
  return layers[0]?.digest ?? '';
}
