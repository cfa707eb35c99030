import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import type { Fault } from '../helpers/fault-proxy.ts';
import { pushImage, sampleImage, type SampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { contentsOf, openFaultySite, type FaultySite } from './faulty-site.ts';

const [down, up] = [repository('plant/down'), repository('plant/up')];
const v1 = tag('v1');
const layerBytes = 300_000;

/** What is asked of the parent in a pass that brings one image down and carries one up. */
const requests = {
  token: /^GET \/acr\/oauth2\/token/,
  ping: /^GET \/v2\/$/,
  activation: /^PUT .*\/activation/,
  messages: /^GET .*\/messages\?(?!.*wait=)/,
  'long poll': /^GET .*\/messages\?.*wait=/,
  status: /^PUT .*\/status/,
  catalog: /^GET .*_catalog/,
  tags: /^GET .*\/_tags/,
  manifest: /^GET .*\/manifests\//,
  blob: /^GET .*\/blobs\/sha/,
  referrers: /^GET .*\/referrers\//,
  contents: /^POST .*\/contents$/,
  'upload POST': /^POST .*\/uploads/,
  'upload PATCH': /^PATCH /,
  'upload PUT': /^PUT .*\/uploads\//,
  'manifest PUT': /^PUT .*\/manifests\//,
};
type Request = keyof typeof requests;

/** What the site tells while it lasts: the connection state and the codes of its details. */
const [offline, healthy] = ['Offline PARENT_UNREACHABLE', 'in sync'];
const [repositoryFailed, catalogFailed] = ['Unhealthy REPOSITORY_FAILED', 'Unhealthy PARENT_CATALOG_FAILED'];
const broken = 'Unhealthy PARENT_BROKEN';

/** Of a request that goes unanswered. */
const unanswered: Readonly<Record<Request, string>> = {
  token: offline,
  ping: offline,
  activation: offline,
  messages: offline,
  // Without them the schedule does the work alone.
  'long poll': healthy,
  status: healthy,
  catalog: catalogFailed,
  tags: repositoryFailed,
  manifest: repositoryFailed,
  blob: repositoryFailed,
  referrers: repositoryFailed,
  // What does not come together is asked for alone.
  contents: healthy,
  'upload POST': repositoryFailed,
  // What became of it is asked for, and it was done.
  'upload PATCH': healthy,
  'upload PUT': healthy,
  'manifest PUT': repositoryFailed,
};
/** Nothing came of these. */
const untold = { 'upload PATCH': repositoryFailed, 'upload PUT': repositoryFailed };
/** Of a request that somebody else answers with nonsense. */
const misled = { token: broken, ping: broken, activation: broken, messages: broken };

const cases: readonly {
  readonly what: string;
  readonly fault: Fault;
  readonly tells: Readonly<Partial<Record<Request, string>>>;
}[] = [
  { what: 'is cut before its answer', fault: { kind: 'cut', afterBytes: 0 }, tells: unanswered },
  {
    what: 'gets no answer',
    fault: { kind: 'silent', afterBytes: 0 },
    tells: only(
      unanswered,
      'token',
      'activation',
      'messages',
      'tags',
      'contents',
      'upload PATCH',
      'upload PUT',
      'manifest PUT',
    ),
  },
  {
    what: 'is answered with 502',
    fault: { kind: 'answer', status: 502 },
    tells: only({ ...unanswered, ...untold }, 'token', 'ping', 'manifest', 'contents', 'upload PATCH', 'upload PUT'),
  },
  {
    what: 'is answered in no HTTP',
    fault: { kind: 'garbage' },
    tells: only(
      { ...unanswered, ...untold, ...misled },
      'token',
      'activation',
      'long poll',
      'tags',
      'blob',
      'contents',
      'upload PATCH',
    ),
  },
  {
    what: 'is answered with the page of a proxy',
    fault: {
      ...{ kind: 'answer', status: 200, body: '<html>Please log in</html>' },
      headers: { 'content-type': 'text/html' },
    },
    tells: {
      ...{ token: broken, messages: broken, catalog: catalogFailed, blob: repositoryFailed },
      ...{ manifest: repositoryFailed, referrers: repositoryFailed, 'upload POST': repositoryFailed },
      ...{
        'upload PATCH': repositoryFailed,
        'manifest PUT': repositoryFailed,
        'upload PUT': 'Unhealthy PARENT_REFUSED',
      },
      ...{ 'long poll': healthy, status: healthy, contents: healthy },
    },
  },
  {
    what: 'gets an answer with a wrong byte',
    fault: { kind: 'flip', atByte: 2 },
    tells: { blob: broken, manifest: repositoryFailed, catalog: catalogFailed, messages: broken, contents: healthy },
  },
  {
    what: 'gets an answer with a wrong byte in its content',
    fault: { kind: 'flip', atByte: 120 },
    tells: { manifest: repositoryFailed, contents: healthy },
  },
  {
    what: 'gets an answer that is cut in its middle',
    fault: { kind: 'cut', afterBytes: 120 },
    tells: { manifest: repositoryFailed, contents: healthy },
  },
  {
    what: 'breaks off on its way up',
    fault: { kind: 'cut', afterBytes: 100, of: 'request' },
    tells: { 'manifest PUT': repositoryFailed },
  },
  {
    what: 'stops on its way up',
    fault: { kind: 'silent', afterBytes: 100, of: 'request' },
    tells: { 'manifest PUT': repositoryFailed },
  },
  {
    what: 'is throttled with Retry-After',
    fault: { kind: 'answer', status: 429, headers: { 'retry-after': '90' } },
    tells: {
      ...{ manifest: 'Online PARENT_THROTTLED', blob: 'Online PARENT_THROTTLED', tags: 'Online PARENT_THROTTLED' },
      contents: healthy,
    },
  },
];

/** A parent as it was before contents came together: every manifest and blob is asked for alone. */
function makeOlder({ proxy }: FaultySite): void {
  void proxy.fail(requests.contents, { kind: 'answer', status: 404 });
}

/** Of those only, where each costs real time. */
function only(all: Readonly<Record<Request, string>>, ...wanted: readonly Request[]): Partial<Record<Request, string>> {
  return Object.fromEntries(wanted.map((request) => [request, all[request]]));
}

/** Real engine, real stores, real HTTP; one kind of request goes wrong for a while. */
describe('sync over a link with faults', () => {
  let site: FaultySite;

  let image: SampleImage;

  beforeEach(async () => {
    site = await openFaultySite();
    image = sampleImage([randomBytes(layerBytes), 'small']);
    await pushImage(site.parent.store.local, down, image, v1);
    await pushImage(site.store.local, up, sampleImage([randomBytes(layerBytes)]), v1);
  });
  afterEach(() => site.close());

  const told = ({ inSync, connectionState, details }: SyncStatus): string =>
    inSync ? healthy : [connectionState, ...new Set(details.map(({ code }) => code))].join(' ');
  const rests = ({ state, connectionState, inSync }: SyncStatus): boolean =>
    connectionState !== 'Syncing' && (state === 'Failed' || inSync);

  /** The rest comes by itself, once nothing goes wrong any more. */
  async function recovers(): Promise<void> {
    site.proxy.heal();
    const { details } = await site.until(({ inSync, connectionState }) => inSync && connectionState === 'Online');
    expect(details).to.deep.equal([]);
    const contents = await contentsOf(site.store);
    expect(contents).to.deep.equal(await contentsOf(site.parent.store));
    expect(contents.filter((line) => line.includes(':v1'))).to.have.length(2);
  }

  for (const { what, fault, tells } of cases) {
    describe(`when a request ${what}`, () => {
      for (const [request, expected] of Object.entries(tells)) {
        it(`${request}: ${expected}`, async () => {
          // Nobody is asked for the referrers of an image that has none.
          const signature = sampleImage(['signature'], { subject: image.manifest });
          if (request === 'referrers') await pushImage(site.parent.store.local, down, signature);
          if (request === 'manifest' || request === 'blob') makeOlder(site);
          const struck = site.proxy.fail(requests[request as Request], fault);
          let isStruck = false;
          void struck.then(() => (isStruck = true));
          site.start();
          const status = await site.until((now) => isStruck && rests(now));
          expect(told(status)).to.equal(expected);
          await contentsOf(site.store);
          await contentsOf(site.parent.store);
          await recovers();
        });
      }
    });
  }

  /** Of everything that has to cross the link: two configs, three layers. */
  const contentBytes = async (): Promise<number> => {
    let sum = 0;
    for await (const { tag: name } of site.parent.store.listTags(down)) {
      const { bytes } = (await site.parent.store.findManifest(down, name))!;
      const { config, layers } = JSON.parse(bytes.toString()) as { config: Sized; layers: Sized[] };
      for (const { size } of [config, ...layers]) sum += size;
    }
    return sum;
  };
  interface Sized {
    readonly size: number;
  }

  for (const kind of ['cut', 'silent'] as const) {
    it(`brings each byte once, when every answer is ${kind} after 50,000 of them`, async () => {
      makeOlder(site);
      void site.proxy.fail(requests.blob, { kind, afterBytes: 50_000 }, kind === 'cut' ? Infinity : 2);
      site.start();
      await site.until(({ inSync }) => inSync);
      expect(site.proxy.passedBytes).to.equal(await contentBytes());
      await recovers();
    });
  }

  it('brings a blob with a wrong byte a second time, and no other', async () => {
    makeOlder(site);
    void site.proxy.fail(requests.blob, { kind: 'flip', atByte: 100_000 }, 3);
    site.start();
    await site.until(({ inSync }) => inSync);
    expect(site.proxy.passedBytes).to.equal((await contentBytes()) + layerBytes);
    await recovers();
  });

  for (const [what, which] of [
    ['a part', requests['upload PATCH']],
    ['a commit', requests['upload PUT']],
  ] as const) {
    it(`sends no byte twice, when the answer to ${what} never comes`, async () => {
      void site.proxy.fail(which, { kind: 'cut', afterBytes: 0 });
      site.start();
      await site.until(({ inSync }) => inSync);
      // Beside the image's bytes only manifests, activation and status went up.
      expect(site.proxy.sentBytes).to.be.within(layerBytes, layerBytes + 10_000);
      await recovers();
    });
  }

  it('goes on in the middle of a part that was cut on its way up', async () => {
    // The parent has taken what came over a cut connection before it is asked how far that was.
    const taken = site.parent.sampled(({ status }) => status === 499).then(() => undefined);
    void site.proxy.fail(requests['upload PATCH'], { kind: 'cut', afterBytes: 100_000, of: 'request' }, 2);
    void site.proxy.fail(/^GET .*uploads/, { kind: 'late', until: taken }, 1);
    site.start();
    await site.until(({ inSync }) => inSync);
    expect(site.proxy.sentBytes, site.proxy.lines.filter((line) => line.includes('uploads')).join('\n')).to.be.below(
      1.5 * layerBytes,
    );
    await recovers();
  });

  it('waits for an answer that is late, and does the rest meanwhile', async () => {
    let arrive = (): void => undefined;
    const until = new Promise<void>((resolve) => (arrive = resolve));
    void site.proxy.fail(requests['long poll'], { kind: 'late', until });
    site.start();
    await site.until(({ inSync }) => inSync);
    arrive();
    await recovers();
  });

  it('ends within a moment in the middle of anything that hangs', async () => {
    const struck = site.proxy.fail(requests.blob, { kind: 'silent', afterBytes: 10 });
    site.start();
    await struck;
    await site.engine.close();
    expect(site.engine.status().inSync).to.equal(false);
    await contentsOf(site.store);
  });
});

/** As patient in the middle of an answer as in real life, so that only the watch can tell within the tests' time. */
describe('sync over a link that moves no byte', () => {
  let site: FaultySite;
  const image = sampleImage([randomBytes(layerBytes)]);

  beforeEach(async () => {
    site = await openFaultySite({ idleTimeoutMs: 60_000 });
    makeOlder(site);
    await pushImage(site.parent.store.local, down, image, v1);
    const full = site.proxy.allow(100_000);
    site.start();
    await full;
  });
  afterEach(() => site.close());

  it('is Offline where the parent is silent, shows where it stands, and goes on there', async () => {
    void site.proxy.fail(/./, { kind: 'silent', afterBytes: 0 });
    const isOffline = ({ connectionState, details }: SyncStatus): boolean =>
      connectionState === 'Offline' && details.some(({ code }) => code === 'PARENT_UNREACHABLE');
    const cut = await site.until(isOffline);
    expect(cut.bytesDone).to.be.within(1, 100_000);
    expect(cut.repositories).to.have.nested.property('[0].state', 'Pending');
    // Tries that nobody answers tell nothing new.
    const { bytesDone, bytesTotal } = await site.until(
      ({ state, lastSyncStartTime }) => state === 'Failed' && lastSyncStartTime! > cut.lastSyncStartTime!,
    );
    expect({ bytesDone, bytesTotal }).to.deep.equal({ bytesDone: cut.bytesDone, bytesTotal: cut.bytesTotal });

    site.proxy.heal();
    void site.proxy.allow(Infinity);
    await site.until(({ inSync }) => inSync);
    expect(await contentsOf(site.store)).to.deep.equal(await contentsOf(site.parent.store));
  });

  it('stays Syncing for as long as the parent answers', async () => {
    const begunMs = site.clock.now().getTime();
    const status = await site.until(() => site.clock.now().getTime() - begunMs > 600_000);
    expect(status).to.deep.include({ connectionState: 'Syncing', details: [] });
    void site.proxy.allow(Infinity);
    await site.until(({ inSync }) => inSync);
    expect(site.proxy.passedBytes).to.equal(image.blobs.reduce((sum, { length }) => sum + length, 0));
  });
});

/** As patient with single questions as in real life, so that only the watch can tell within the tests' time. */
describe('sync over a link on which nobody answers a question any more', () => {
  let site: FaultySite;

  beforeEach(async () => {
    site = await openFaultySite({ answerTimeoutMs: 60_000, writeTimeoutMs: 60_000 });
    const image = sampleImage([randomBytes(layerBytes), 'small']);
    await pushImage(site.parent.store.local, down, image, v1);
    await pushImage(site.parent.store.local, down, sampleImage(['signature'], { subject: image.manifest }));
    await pushImage(site.store.local, up, sampleImage([randomBytes(layerBytes)]), v1);
  });
  afterEach(() => site.close());

  const isOffline = ({ connectionState, details }: SyncStatus): boolean =>
    connectionState === 'Offline' && details.some(({ code }) => code === 'PARENT_UNREACHABLE');

  for (const question of [
    ...(['activation', 'messages', 'catalog', 'tags', 'contents', 'manifest', 'referrers'] as const),
    ...(['upload POST', 'upload PUT', 'manifest PUT'] as const),
  ]) {
    it(`is Offline, when that begins with: ${question}`, async () => {
      if (question === 'manifest') makeOlder(site);
      const struck = site.proxy.fail(requests[question], { kind: 'silent', afterBytes: 0 });
      site.start();
      await struck;
      void site.proxy.fail(/./, { kind: 'silent', afterBytes: 0 });
      const begunMs = site.clock.now().getTime();
      await site.until(isOffline);
      expect(site.clock.now().getTime() - begunMs).to.be.at.least(20_000);
      site.proxy.heal();
      await site.until(({ inSync }) => inSync);
      expect(await contentsOf(site.store)).to.deep.equal(await contentsOf(site.parent.store));
    });
  }

  it('stays Syncing while one question waits, for as long as the parent answers another', async () => {
    let arrive = (): void => undefined;
    const until = new Promise<void>((resolve) => (arrive = resolve));
    const struck = site.proxy.fail(requests.contents, { kind: 'late', until });
    site.start();
    await struck;
    const begunMs = site.clock.now().getTime();
    const status = await site.until(() => site.clock.now().getTime() - begunMs > 600_000);
    expect(status).to.deep.include({ connectionState: 'Syncing', details: [] });
    expect(site.proxy.lines.filter((line) => line === 'GET /v2/')).to.have.length.of.at.least(10);
    arrive();
    await site.until(({ inSync }) => inSync);
  });
});
