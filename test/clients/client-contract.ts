import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { CommandResult } from '../helpers/command.ts';
import { startFaultProxy, type FaultProxy } from '../helpers/fault-proxy.ts';
import { needs } from '../helpers/needs.ts';
import type { Program } from '../helpers/program.ts';
import { digestOfTag, pullImage, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { openClientStand, operator, reader, type ClientStand, type Way } from './client-stand.ts';
import { writeOciLayout } from './oci-layout.ts';

/** An image as the tests make it: an OCI layout of one platform, in the stand's directory. */
export interface LocalImage {
  readonly folder: string;
  readonly tag: string;
}

/** One image tool of a machine, with storage and credentials of its own. `remote` is `repository:tag`. */
export interface ImageClient {
  version(): Promise<string>;
  login(way: Way, account: Account): Promise<CommandResult>;
  /** Sends an image of this machine. */
  push(image: LocalImage, way: Way, remote: string): Promise<CommandResult>;
  pull(way: Way, remote: string): Promise<CommandResult>;
  /** A digest of everything `pull` brought, over what the tool itself has stored. */
  pulledIdentity(way: Way, remote: string): Promise<string>;
  /** The same of what `push` sent. */
  sentIdentity(image: LocalImage): Promise<string>;
  /** Forgets every image, so that the next pull has to fetch. */
  forget(): Promise<void>;
  /** Makes an index over images of several platforms and sends it with them. */
  pushIndex(images: readonly LocalImage[], way: Way, remote: string): Promise<CommandResult>;
  /** Pulls all an index holds, or the platform of this machine where the tool knows no more. */
  pullIndex(way: Way, remote: string): Promise<CommandResult>;
  /** `pull` as a process that can be killed. */
  startPull(way: Way, remote: string): Program;
  /** A part of a layer is kept, for the next pull to go on with. */
  readonly keepsPart?: () => Promise<boolean>;
  /** Prints the tags. */
  listTags?(way: Way, repository: string): Promise<CommandResult>;
  delete?(way: Way, remote: string): Promise<CommandResult>;
  close(): Promise<void>;
}

export interface ClientKind {
  readonly name: string;
  /** Programs, and `root`. */
  readonly needs: readonly string[];
  start(stand: ClientStand): Promise<ImageClient>;
  /** What the client shows of a refusal: the registry's own text, unless it shows the status alone. */
  readonly says?: { readonly denied: RegExp; readonly readOnly: RegExp };
  /** A pull cut off in the middle goes on where it stopped: within one command, or when the next one asks. */
  readonly resumes: 'within a pull' | 'at the next pull' | 'never';
}

/** For a kind's own tests, run with the same registry and client. */
export interface ClientContext {
  readonly stand: ClientStand;
  readonly client: ImageClient;
  /** The images every test pushes: linux/amd64, linux/arm64. */
  readonly images: readonly LocalImage[];
  readonly way: (name: Way['name']) => Way;
}

const platforms = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
];
const acrTexts = {
  denied: /denied: Insufficient scopes to perform the operation/,
  readOnly: /This operation is not allowed on this registry/,
};
const halfBytes = 4 * 1024 * 1024;

/** What every client can do with the registry, however it reaches it; `more` adds what one client alone does. */
export function describeClient(kind: ClientKind, more?: (context: () => ClientContext) => void): void {
  describe(`${kind.name} and the registry`, () => {
    let stand: ClientStand;
    let client: ImageClient;
    let images: LocalImage[];
    const closing: { close(): Promise<void> }[] = [];
    const says = kind.says ?? acrTexts;
    const repository = (name: string): string => `plant/${kind.name}/${name}`;
    const way = (name: Way['name']): Way => stand.ways.find((one) => one.name === name)!;
    const context = (): ClientContext => ({ stand, client, images, way });

    before(async function () {
      await needs(this, ...kind.needs);
      stand = await openClientStand();
      closing.push(stand);
      client = await kind.start(stand);
      closing.push(client);
      console.log(`      ${await client.version()}`);
      images = [];
      for (const platform of platforms) {
        const folder = `image-${platform.architecture}`;
        const content = randomBytes(1000);
        await writeOciLayout(join(stand.directory, folder), {
          tag: '1',
          text: 'hello',
          content,
          platforms: [platform],
        });
        images.push({ folder, tag: '1' });
      }
    });

    after(async () => {
      for (const one of closing.reverse()) await one.close();
    });

    for (const name of ['HTTP', 'HTTPS', 'nginx with TLS'] as const) {
      describe(`over ${name}`, () => {
        const at = (what: string): string => repository(`${name.toLowerCase().replaceAll(' ', '-')}/${what}`);

        it('is refused with a wrong password, and let in with the right one', async () => {
          const refused = await client.login(way(name), { ...operator, password: 'wrong' });
          expect(refused.code, refused.output).not.to.equal(0);
          expect(refused.output).to.match(/unauthorized|invalid username\/password|401/i);
          succeeded(await client.login(way(name), operator));
        });

        it('pushes an image and pulls it back unchanged', async () => {
          const remote = `${at('image')}:1`;
          succeeded(await client.push(images[0]!, way(name), remote));
          const { contents } = await pullImage(stand.url, operator, at('image'), '1');
          expect(contents, 'a manifest, a config, two layers').to.have.property('size', 4);
          const sent = await client.sentIdentity(images[0]!);
          await client.forget();
          succeeded(await client.pull(way(name), remote));
          expect(await client.pulledIdentity(way(name), remote)).to.equal(sent);
        });

        it('pushes and pulls an index of two platforms', async () => {
          succeeded(await client.pushIndex(images, way(name), `${at('index')}:1`));
          const { contents, mediaType } = await pullImage(stand.url, operator, at('index'), '1');
          expect(mediaType).to.match(/image\.index\.v1|manifest\.list\.v2/);
          expect(contents, 'an index and two images').to.have.property('size', 9);
          await client.forget();
          succeeded(await client.pullIndex(way(name), `${at('index')}:1`));
        });

        it('lists tags, and no longer finds what was deleted', async () => {
          const remote = `${at('short')}:2`;
          succeeded(await client.push(images[0]!, way(name), remote));
          if (client.listTags) expect(succeeded(await client.listTags(way(name), at('short')))).to.match(/\b2\b/);
          if (client.delete) succeeded(await client.delete(way(name), remote));
          else await stand.deleteManifest(at('short'), (await digestOfTag(stand.url, operator, at('short'), '2'))!);
          await client.forget();
          const gone = await client.pull(way(name), remote);
          expect(gone.code, gone.output).not.to.equal(0);
          expect(gone.output).to.match(/manifest unknown|not found/);
        });
      });
    }

    // A suite of its own, as mocha runs a suite's tests before the suites in it.
    describe('once it is let in', () => {
      it('sends no layer again that it has sent to another repository', async () => {
        // Where a layer came from is what a client offers to mount it from; some note it at pulls alone.
        succeeded(await client.pull(way('HTTPS'), `${repository('https/image')}:1`));
        const before = await stand.traffic();
        succeeded(await client.push(images[0]!, way('HTTPS'), `${repository('https/mounted')}:1`));
        const since = await stand.traffic();
        expect(since.requests('end-4', 'POST', 201) - before.requests('end-4', 'POST', 201)).to.be.at.least(2);
        const sent = ['end-4', 'end-5', 'end-6'].map((id) => since.receivedBytes(id) - before.receivedBytes(id));
        // A config may be sent again, which no client remembers the place of; layers are larger than 1000 random bytes.
        expect(sent.reduce((sum, bytes) => sum + bytes)).to.be.below(1000);
        await pullImage(stand.url, operator, repository('https/mounted'), '1');
      });

      it('is told in ACR’s words that a token that may only read may not push', async () => {
        succeeded(await client.login(way('HTTPS'), reader));
        const refused = await client.push(images[0]!, way('HTTPS'), `${repository('https/refused')}:1`);
        expect(refused.code).not.to.equal(0);
        expect(refused.output).to.match(says.denied);
        await client.forget();
        succeeded(await client.pull(way('HTTPS'), `${repository('https/image')}:1`));
        succeeded(await client.login(way('HTTPS'), operator));
      });

      it('is told in ACR’s words that a ReadOnly registry takes no push', async () => {
        await stand.setMode('ReadOnly');
        try {
          const refused = await client.push(images[0]!, way('HTTPS'), `${repository('https/refused')}:1`);
          expect(refused.code).not.to.equal(0);
          expect(refused.output).to.match(says.readOnly);
          await client.forget();
          succeeded(await client.pull(way('HTTPS'), `${repository('https/image')}:1`));
        } finally {
          await stand.setMode('ReadWrite');
        }
      });
    });

    describe('cut off half-way through a layer', () => {
      let gate: FaultProxy;
      let through: Way;
      let large: LocalImage;
      const remote = `${repository('large')}:1`;

      before(async () => {
        gate = await startFaultProxy(`127.0.0.1:${way('HTTP').port}`);
        closing.push(gate);
        through = { ...way('HTTP'), host: gate.host, port: gate.port };
        large = { folder: 'large', tag: '1' };
        const content = randomBytes(2 * halfBytes);
        const layout = join(stand.directory, large.folder);
        await writeOciLayout(layout, { tag: '1', text: 'large', content, platforms: platforms.slice(0, 1) });
        succeeded(await client.login(through, operator));
        succeeded(await client.push(large, through, remote));
      });

      beforeEach(() => client.forget());

      it('pulls the whole after the client was killed', async () => {
        const resumed = await partsAsked();
        const half = gate.allow(gate.passedBytes + halfBytes);
        const pull = client.startPull(through, remote);
        await half;
        // What passed the gate may not have arrived at its place yet.
        if (client.keepsPart) await until('the client keeps what arrived', client.keepsPart);
        await pull.kill();
        gate.cut();
        succeeded(await client.pull(through, remote));
        expect(await client.pulledIdentity(through, remote)).to.equal(await client.sentIdentity(large));
        expect((await partsAsked()) - resumed).to.equal(kind.resumes === 'at the next pull' ? 1 : 0);
      });

      if (kind.resumes === 'within a pull') {
        it('goes on by itself after the connection broke', async () => {
          const resumed = await partsAsked();
          const half = gate.allow(gate.passedBytes + halfBytes);
          const pull = client.pull(through, remote);
          await half;
          gate.cut();
          succeeded(await pull);
          expect(await client.pulledIdentity(through, remote)).to.equal(await client.sentIdentity(large));
          expect((await partsAsked()) - resumed).to.equal(1);
        });
      }

      async function partsAsked(): Promise<number> {
        return (await stand.traffic()).requests('end-2', 'GET', 206);
      }
    });

    if (more) describe('of its own', () => more(context));
  });
}

/** The output of a command that has to have ended well. */
export function succeeded({ code, output }: CommandResult): string {
  expect(code, output).to.equal(0);
  return output;
}
