import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { partBytes } from '../../modules/registry/src/parent/upload.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { until } from '../helpers/until.ts';
import { contentsOf, openFaultySite, type FaultySite } from './faulty-site.ts';

const mib = 1024 * 1024;
const up = repository('plant/up');
/** Three parts. */
const layerBytes = 2 * partBytes + 4 * mib;
/** In the second part. */
const middleBytes = partBytes + 2 * mib;
/** Manifests, activation, status and the config. */
const besideBytes = 100_000;

/** Real engine, real stores, real HTTP: what of a large layer has reached the parent is not sent again. */
describe('a push to the parent that stops in the middle of a layer', () => {
  let site: FaultySite;

  beforeEach(async () => {
    // Real time that bytes need; nothing here is to end for want of patience.
    site = await openFaultySite({ answerTimeoutMs: 9000, writeTimeoutMs: 9000, idleTimeoutMs: 9000 });
    await pushImage(site.store.local, up, sampleImage([randomBytes(layerBytes)]), tag('v1'));
  });
  afterEach(() => site.close());

  const begun = (): number => site.proxy.asked('POST /v2/plant/up/blobs/uploads/');
  /** Of the layer and of the config. */
  const uploads = 2;
  /** As `settingsBelow` has it, with `changes`. */
  const parentAt = (gatewayEndpoint: string, changes: object = {}) => ({
    parent: { gatewayEndpoint, protocol: 'http', syncProperties: { schedule: '* * * * *' }, ...changes },
  });

  /** Until so much has gone up in all; the clock stands still. */
  async function sends(bytes: number, settings: object = {}): Promise<void> {
    void site.proxy.fail(/^PATCH /, { kind: 'throttle', bytesPerSecond: 30 * mib, of: 'request' });
    site.start(settings);
    await until(`${bytes} bytes went up`, async () => site.proxy.sentBytes >= bytes);
  }

  async function tells(holds: (status: SyncStatus) => boolean): Promise<SyncStatus> {
    await until('the status tells it', async () => holds(site.engine.status()));
    return site.engine.status();
  }

  async function arrives(): Promise<void> {
    await site.until(({ inSync }) => inSync);
    expect(await contentsOf(site.parent.store)).to.deep.equal(await contentsOf(site.store));
  }

  /** Everything is there, and hardly a byte of it went up twice. */
  async function wentOn(): Promise<void> {
    await arrives();
    expect(begun()).to.equal(uploads);
    expect(site.proxy.sentBytes).to.be.within(layerBytes, layerBytes + mib + besideBytes);
  }

  it('goes on there after a restart, and counts what had crossed once', async () => {
    await sends(middleBytes);
    await site.restart();
    site.start();
    const half = await tells(({ bytesDone }) => bytesDone > middleBytes + mib);
    expect(half.bytesTotal - layerBytes).to.be.within(0, 1000);
    // What had crossed before the restart says nothing of when it ends.
    expect(half.bytesDone - half.moved!.bytes).to.be.within(middleBytes - mib, 2 * partBytes);
    await wentOn();
    expect(Math.max(...site.told.map(({ bytesDone }) => bytesDone))).to.equal(half.bytesTotal);
    expect(site.engine.status().outbox).to.deep.equal({ pending: 0 });
  });

  it('goes on there with other settings', async () => {
    await sends(middleBytes);
    site.start({ repositories: ['plant/up', 'plant/*'] });
    await wentOn();
  });

  it('goes on there with another sync token', async () => {
    const plains = ['child-password', 'second-password'];
    const hashes = await Promise.all(plains.map((plain) => hashPassword(plain, { ln: 10 })));
    const passwords = hashes.map((hash, at) => ({ name: plains[at]!, hash, expiry: undefined }));
    const syncToken = { name: 'childsync', status: 'enabled' as const, passwords };
    const repositories = [parseRepositoryPattern('plant/*')!];
    const child = { name: 'plant7line3', mode: 'ReadWrite' as const, repositories, syncToken };
    site.parent.applyAccounts({ clientTokens: [], scopeMaps: [], children: [child] });
    await sends(middleBytes);
    site.start(parentAt(site.proxy.host, { syncToken: { name: 'childsync', password: 'second-password' } }));
    await tells(({ trigger }) => trigger === 'SyncTokenUpdate');
    await wentOn();
  });

  it('goes on there at another address of the same parent', async () => {
    const other = await startFaultProxy(site.parent.host);
    try {
      await sends(middleBytes);
      await site.restart();
      site.start(parentAt(other.host));
      await arrives();
      expect(other.asked('POST /v2/plant/up/blobs/uploads/')).to.equal(0);
      expect(site.proxy.sentBytes + other.sentBytes).to.be.within(layerBytes, layerBytes + mib + besideBytes);
    } finally {
      await site.engine.close();
      await other.close();
    }
  });

  it('begins anew where the parent has forgotten the upload, and arrives', async () => {
    await sends(middleBytes);
    await site.restart();
    void site.proxy.fail(/^GET .*\/uploads\//, { kind: 'answer', status: 404 }, 1);
    site.start();
    await arrives();
    expect(begun()).to.equal(uploads + 1);
    expect(site.proxy.sentBytes).to.be.above(layerBytes + partBytes);
  });

  it('gives the upload up at the parent, when the image is deleted here', async () => {
    await sends(middleBytes);
    await site.restart();
    const digest = (await site.store.resolveTag(up, tag('v1')))!;
    await site.store.local.deleteManifest(up, digest);
    site.start();
    await site.until(({ inSync }) => inSync);
    expect(site.proxy.asked('DELETE /v2/plant/up/blobs/uploads/')).to.equal(1);
    site.engine.wake();
    await site.engine.resync();
    await site.until(({ inSync }) => inSync);
    expect(site.proxy.asked('DELETE /v2/plant/up/blobs/uploads/')).to.equal(1);
  });

  describe('by the end of its window', () => {
    const daily = { syncProperties: { schedule: '0 9 * * *', syncWindow: 'PT1H' } };
    const [hourMs, dayMs] = [3_600_000, 24 * 3_600_000];

    /** It is nine o'clock; the window closes when so many bytes have gone up. */
    async function closesAfter(bytes: number): Promise<void> {
      await sends(bytes, parentAt(site.proxy.host, daily));
      await site.clock.advance(hourMs);
    }

    it('sends the part on its way, no other, and goes on behind it in the next window', async () => {
      await closesAfter(middleBytes);
      await tells(({ state }) => state === 'TimedOut');
      expect(site.proxy.sentBytes).to.be.within(2 * partBytes, 2 * partBytes + besideBytes);
      await site.clock.advance(dayMs - hourMs - 1000);
      expect(site.proxy.sentBytes).to.be.within(2 * partBytes, 2 * partBytes + besideBytes);
      await wentOn();
    });

    it('is cut in a part that takes too long, and goes on at that byte', async () => {
      const hangs = site.proxy.fail(/^PATCH /, { kind: 'silent', afterBytes: 4 * mib, of: 'request' });
      site.start(parentAt(site.proxy.host, daily));
      await hangs;
      await until('4 MiB went up', async () => site.proxy.sentBytes >= 4 * mib);
      await site.clock.advance(hourMs + 29_000);
      expect(site.engine.status().state).to.equal('Syncing');
      await site.clock.advance(1000);
      await tells(({ state }) => state === 'TimedOut');
      site.proxy.heal();
      await site.clock.advance(dayMs - hourMs - 60_000);
      await wentOn();
    });
  });
});
