import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { verifyPassword } from '../../../modules/registry/src/auth/password-hash.ts';
import { hierarchyCommand } from '../../../scripts/hierarchy/hierarchy-command.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';
import { fileOf, layer, type LayerFields } from './files.ts';

interface Desired {
  readonly repositories: readonly unknown[];
  readonly clientTokens: readonly { readonly passwords: readonly { readonly name: string; readonly hash: string }[] }[];
  readonly children: readonly {
    readonly name: string;
    readonly syncToken: { readonly passwords: readonly { readonly name: string; readonly hash: string }[] };
  }[];
}

const repositories = ['plant/hello'];
const clientTokens = [{ name: 'operator', actions: ['repositories/plant/hello/content/read'] }];
const top = layer('enterprise', { mode: 'ReadWrite', includeDescendants: true, repositories });
const plant = layer('plant7', { parent: 'enterprise', includeDescendants: true, repositories });
const line = layer('line3', { parent: 'plant7', repositories, clientTokens });

describe('hierarchyCommand()', () => {
  let directory: string;
  let output: string;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    output = join(directory, 'output');
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function run(action: 'plan' | 'apply', layers: readonly LayerFields[], ...options: string[]) {
    const file = join(directory, 'hierarchy.yaml');
    await writeFile(file, fileOf(layers, { deviceRepositories: undefined }));
    const { report, secrets } = await hierarchyCommand([action, file, '--output', output, ...options], {});
    return { report: report.join('\n'), secrets: secrets.join('\n') };
  }
  const refusal = (...arguments_: Parameters<typeof run>) => run(...arguments_).then(() => '', String);
  const text = (path: string) => readFile(join(output, path), 'utf8');
  const desired = async (name: string) => JSON.parse(await text(`${name}/desired-properties.json`)) as Desired;
  const passwordIn = async (name: string) => /SYNC_TOKEN_PASSWORD='(\S+)'/.exec(await text(`${name}/.env`))?.[1] ?? '';
  const passwordOf = (secrets: string, token: string) =>
    new RegExp(`token ${token} .*: (\\S+)$`, 'm').exec(secrets)?.[1] ?? '';
  const givePassword = (name: string) =>
    writeFile(join(output, `${name}/.env`), `SYNC_TOKEN_PASSWORD='from the cloud'\n`);

  async function everything(): Promise<Record<string, string>> {
    const names = await readdir(output, { recursive: true });
    const files: Record<string, string> = {};
    for (const name of names.sort()) {
      if ((await stat(join(output, name))).isFile()) files[name] = await text(name);
    }
    return files;
  }

  it('plan tells what would be added, for whom, and which secrets, and writes nothing', async () => {
    const { report, secrets } = await run('plan', [top, plant, line]);
    expect(report).to.match(/^ {2}\+ \/repositories\/connected-registry \(kept for the device of line3\)$/m);
    expect(report).to.match(/will be made: client token operator at line3/);
    expect(secrets).to.equal('');
    expect(await readdir(directory)).to.deep.equal(['hierarchy.yaml']);
  });

  it('apply gives each password once, its hash to the one who checks it, and itself only to the one who sends it', async () => {
    const { report, secrets } = await run('apply', [top, plant, line]);
    const sync = passwordOf(secrets, 'line3');
    const client = passwordOf(secrets, 'operator');
    expect(report).not.to.include(sync).and.not.to.include(client);
    const { children } = await desired('plant7');
    expect(children.map(({ name }) => name)).to.deep.equal(['line3']);
    expect(await verifyPassword(sync, children[0]?.syncToken.passwords[0]?.hash ?? '')).to.equal(true);
    const { clientTokens: tokens } = await desired('line3');
    expect(await verifyPassword(client, tokens[0]?.passwords[0]?.hash ?? '')).to.equal(true);

    const files = await everything();
    const holding = (secret: string) => Object.keys(files).filter((name) => files[name]?.includes(secret));
    expect(holding(sync)).to.deep.equal(['line3/.env', 'line3/deployment.amd64.json']);
    expect(holding(client)).to.deep.equal([]);
    for (const name of Object.keys(files)) {
      expect((await stat(join(output, name))).mode & 0o077, name).to.equal(0);
    }
  });

  it('apply again changes no file and makes no secret; a plan then finds nothing to change', async () => {
    await run('apply', [top, plant, line]);
    const before = await everything();
    const again = await run('apply', [top, plant, line]);
    expect(again.secrets).to.equal('');
    expect(await everything()).to.deep.equal(before);
    expect((await run('plan', [top, plant, line])).report).to.equal('3 layers unchanged');
  });

  it('apply after a change tells it per layer and keeps every secret', async () => {
    await run('apply', [top, plant, line]);
    const before = await desired('plant7');
    const changed = { ...line, repositories: [...repositories, 'tools'], settings: { onDemand: true } };
    const { report, secrets } = await run('apply', [top, plant, changed]);
    expect(secrets).to.equal('');
    expect(report).to.match(/^line3: changed, below plant7\n {2}\+ \/repositories\/tools\n {2}\+ \/onDemand true$/m);
    expect(report).to.match(/^plant7: changed.*\n {2}\+ \/repositories\/tools \(kept for line3\)$/m);
    expect((await desired('plant7')).children[0]?.syncToken).to.deep.equal(before.children[0]?.syncToken);
  });

  it('--rotate makes a second password beside the first, for the client and for the sync token; --retire ends the first', async () => {
    const first = await run('apply', [top, plant, line]);
    const { secrets } = await run('apply', [top, plant, line], '--rotate', 'operator', '--rotate', 'line3');
    const { passwords = [] } = (await desired('line3')).clientTokens[0] ?? {};
    expect(passwords.map(({ name }) => name)).to.deep.equal(['password1', 'password2']);
    expect(await verifyPassword(passwordOf(first.secrets, 'operator'), passwords[0]?.hash ?? '')).to.equal(true);
    expect(await verifyPassword(passwordOf(secrets, 'operator'), passwords[1]?.hash ?? '')).to.equal(true);
    const { passwords: atParent = [] } = (await desired('plant7')).children[0]?.syncToken ?? {};
    expect(atParent).to.have.length(2);
    expect(await passwordIn('line3')).to.equal(passwordOf(secrets, 'line3'));
    expect(await verifyPassword(await passwordIn('line3'), atParent[1]?.hash ?? '')).to.equal(true);

    await run('apply', [top, plant, line], '--retire', 'operator', '--retire', 'line3');
    expect((await desired('line3')).clientTokens[0]?.passwords).to.deep.equal([passwords[1]]);
    expect((await desired('plant7')).children[0]?.syncToken.passwords).to.deep.equal([atParent[1]]);
  });

  it('refuses to go on with a sync password that is lost or another one, until it is made anew', async () => {
    await run('apply', [top, plant, line]);
    const before = await everything();
    await rm(join(output, 'line3/.env'));
    expect(await refusal('apply', [top, plant, line])).to.match(/line 1: \/layers\/2 .*--rotate line3/);
    await writeFile(join(output, 'line3/.env'), `SYNC_TOKEN_PASSWORD='another'\n`);
    expect(await refusal('apply', [top, plant, line])).to.match(/--rotate line3/);
    expect({ ...(await everything()), 'line3/.env': before['line3/.env'] }).to.deep.equal(before);
    await run('apply', [top, plant, line], '--rotate', 'line3');
  });

  it('renders a top layer once the cloud registry has made its password, and not with the one that rotation ended', async () => {
    await run('apply', [top]);
    expect(Object.keys(await everything())).not.to.include('enterprise/deployment.amd64.json');
    await givePassword('enterprise');
    await run('apply', [top]);
    expect(await text('enterprise/deployment.amd64.json')).to.include('SyncTokenPassword=from the cloud;');

    const { report } = await run('apply', [top], '--rotate', 'enterprise');
    expect(report).to.match(/enterprise waits for the password/);
    expect(await text('apply.sh')).to.include('--password2');
    expect(Object.keys(await everything())).not.to.include('enterprise/.env');
  });

  it('takes a layer out: its files go, its parent forgets it, and what is left to do is a script', async () => {
    await run('apply', [top, plant, line]);
    const { report } = await run('apply', [top, plant]);
    expect(report)
      .to.match(/^line3: removed$/m)
      .and.to.match(/^ {2}- \/children\/line3\/syncToken/m);
    const files = await everything();
    expect(Object.keys(files).filter((name) => name.startsWith('line3'))).to.deep.equal([]);
    expect(await readdir(output)).not.to.include('line3');
    expect(await desired('plant7')).to.deep.include({ children: [], repositories });
    expect(JSON.stringify(files)).not.to.include('line3-device --content');
    const commands = await scripted('clean-up-line3.sh');
    expect(commands.map((words) => words.slice(0, 4).join(' '))).to.deep.equal([
      'iot hub module-twin update',
      'iot hub device-identity children',
    ]);
    expect(commands[0]).to.include('line3-device').and.to.include('{"activation":{"status":"Inactive"}}');
    expect(await readdir(output), 'it removes itself').not.to.include('clean-up-line3.sh');

    await run('apply', [top, plant]);
    await run('apply', [top, plant, line]);
    expect((await run('plan', [top, plant, line])).report).to.equal('3 layers unchanged');
  });

  it('takes the token and scope map of a top layer back', async () => {
    await run('apply', [top, layer('other', { repositories })]);
    await run('apply', [top]);
    const commands = (await scripted('clean-up-other.sh')).map((words) => words.slice(0, 4).join(' '));
    expect(commands).to.deep.equal([
      'iot hub module-twin update',
      'acr token delete --registry',
      'acr scope-map delete --registry',
    ]);
  });

  it('releases the name at the old device of a layer that moved, and leaves its tokens alone', async () => {
    await run('apply', [top, plant, line]);
    const { secrets } = await run('apply', [top, plant, { ...line, device: 'other' }]);
    expect(secrets).to.equal('');
    const commands = await scripted('clean-up-line3.sh');
    for (const command of commands) expect(command).to.include('line3-device');
    expect(await readdir(output)).to.include('line3');
  });

  it('refuses what a twin or the registry itself would refuse, naming the place in the file', async () => {
    const bad = {
      ...line,
      sync: { schedule: '0 1 * * *' },
      settings: { transfer: { concurrency: 99 }, onDemnd: true },
    };
    const told = await refusal('apply', [top, plant, bad]);
    for (const place of [
      '/layers/2/sync/syncWindow',
      '/layers/2/settings/transfer/concurrency',
      '/layers/2/settings/onDemnd',
    ]) {
      expect(told).to.include(place);
    }
    const many = Array.from({ length: 21 }, (_, index) => ({ ...clientTokens[0], name: `client${index}` }));
    expect(await refusal('plan', [{ ...top, clientTokens: many }])).to.match(
      /\/layers\/0\/clientTokens .* 20 client tokens/,
    );
    const wide = Array.from({ length: 101 }, (_, index) => `plant/r${index}`);
    expect(await refusal('plan', [{ ...top, repositories: wide }])).to.match(/507 repository permissions .* 500/);
    const long = Array.from({ length: 200 }, (_, index) => `plant/${'x'.repeat(200)}${index}`);
    expect(await refusal('plan', [layer('plant8', { repositories: long })])).to.match(/a twin holds 32768/);
    expect(await readdir(directory)).to.deep.equal(['hierarchy.yaml']);
  });

  it('refuses a module image that the parent does not let the device have', async () => {
    const read = await readFile(new URL('../../../scripts/hierarchy.example.yaml', import.meta.url), 'utf8');
    const file = join(directory, 'bare.yaml');
    await writeFile(file, `${read}\ndeviceRepositories: [connected-registry]\n`);
    const told = await hierarchyCommand(['plan', file, '--output', output], {}).then(() => '', String);
    expect(told).to.match(
      /\/deviceRepositories must contain azureiotedge-hub, which the module edgeHub of plant7 is pulled from/,
    );
  });

  it('--secrets-file gets the passwords too, readable by its owner only, after what it held', async () => {
    const file = join(directory, 'secrets');
    await writeFile(file, 'older\n', { mode: 0o644 });
    const { secrets } = await run('apply', [top, plant, line], '--secrets-file', file);
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(lines)
      .to.have.length(4)
      .and.to.include(`line3/operator password1 ${passwordOf(secrets, 'operator')}`);
    expect(lines[0]).to.equal('older');
    expect((await stat(file)).mode & 0o777).to.equal(0o600);
  });

  it('refuses a state file that is broken, and says which', async () => {
    await run('apply', [top]);
    await writeFile(join(output, 'hierarchy.state.json'), '{');
    expect(await refusal('plan', [top])).to.match(/hierarchy\.state\.json is not JSON/);
    await writeFile(join(output, 'hierarchy.state.json'), '{"version":2,"layers":[]}');
    expect(await refusal('plan', [top])).to.match(/hierarchy\.state\.json is not the state/);
  });

  describe('apply.sh', () => {
    it('makes scope map, token and password at the top, then, once rendered, deploys parents before children', async () => {
      await run('apply', [top, plant, line]);
      const first = await scripted('apply.sh');
      expect(first.map((words) => words.slice(0, 3).join(' '))).to.deep.equal([
        'acr scope-map create',
        'acr token show',
        'acr token create',
        'acr token credential',
      ]);
      expect(first[0]?.join(' ')).to.equal(
        'acr scope-map create --registry contoso --name enterprise ' +
          '--repository plant/hello content/read content/write content/delete metadata/read metadata/write ' +
          ['azureiotedge-agent', 'azureiotedge-hub', 'azureiotedge-api-proxy', 'connected-registry']
            .map((name) => `--repository ${name} content/read metadata/read `)
            .join('') +
          '--gateway enterprise config/read config/write message/read message/write',
      );
      expect(await passwordIn('enterprise')).to.equal('made');

      await run('apply', [top, plant, line]);
      const second = (await scripted('apply.sh', { tokenExists: true })).map((words) => words.join(' '));
      expect(second.filter((command) => command.startsWith('iot'))).to.deep.equal([
        'iot edge set-modules --hub-name hub --device-id enterprise-device --content enterprise/deployment.amd64.json',
        'iot hub device-identity parent set --hub-name hub --device-id plant7-device --parent-device-id enterprise-device --force',
        'iot edge set-modules --hub-name hub --device-id plant7-device --content plant7/deployment.amd64.json',
        'iot hub device-identity parent set --hub-name hub --device-id line3-device --parent-device-id plant7-device --force',
        'iot edge set-modules --hub-name hub --device-id line3-device --content line3/deployment.amd64.json',
      ]);
      expect(second.filter((command) => /token (create|credential)/.test(command))).to.deep.equal([]);
    });

    it('keeps names with quotes and spaces one word', async () => {
      const odd = `it's a $(device)`;
      await run('apply', [{ ...top, device: odd }]);
      await givePassword('enterprise');
      await run('apply', [{ ...top, device: odd }]);
      expect((await scripted('apply.sh')).at(-1)).to.include(odd);
    });
  });

  /** Runs a script of the output with an `az` that records its arguments; each command as its words. */
  async function scripted(script: string, { tokenExists = false } = {}): Promise<string[][]> {
    const log = join(directory, 'commands');
    await rm(log, { force: true });
    const az = `#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word" >> '${log}'; done
printf '\\n' >> '${log}'
case "$*" in
  'acr token show '*) exit ${tokenExists ? 0 : 3} ;;
  'acr token credential '*) echo made ;;
esac
`;
    await writeFile(join(directory, 'az'), az, { mode: 0o755 });
    const environment = { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    await promisify(execFile)('/bin/sh', [join(output, script)], { env: environment });
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
    return lines.map((words) => words.split('\0').slice(0, -1));
  }
});
