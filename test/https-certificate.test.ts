import { expect } from 'chai';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keepHttpsCertificate, type HttpsCertificate } from '../modules/registry/src/https-certificate.ts';
import type { CertificatePair } from '../modules/registry/src/certificate-folder.ts';
import { startListeners, type Listeners } from '../modules/registry/src/http/start-listeners.ts';
import { createEdgeCertificates, type EdgeCertificates } from './helpers/edge-certificates.ts';
import { ManualClock } from './helpers/manual-clock.ts';
import { RecordingLog } from './helpers/recording-log.ts';
import { temporaryDirectory } from './helpers/temporary-directory.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;

describe('keepHttpsCertificate()', () => {
  let certificates: EdgeCertificates;
  let folder: string;
  let listeners: Listeners;
  let clock: ManualClock;
  let keeper: HttpsCertificate | undefined;
  let used: CertificatePair[];
  const log = new RecordingLog();

  before(async () => {
    certificates = await createEdgeCertificates();
  });
  beforeEach(async () => {
    folder = await temporaryDirectory();
    clock = new ManualClock(new Date());
    used = [];
    const api = () => undefined;
    listeners = await startListeners({ api, httpPort: 'off', httpsPort: 0, bindAddress: '127.0.0.1', log });
  });
  afterEach(async () => {
    await keeper?.close();
    await listeners.close();
    await rm(folder, { recursive: true });
  });

  async function keep(issue?: () => Promise<CertificatePair>): Promise<HttpsCertificate> {
    keeper = await keepHttpsCertificate({
      folder,
      ...(issue && { issue }),
      async use(pair) {
        await listeners.secure(pair);
        used.push(pair);
      },
      clock,
      log,
      onChange: () => undefined,
    });
    await clock.sleeping();
    return keeper;
  }

  async function write(pair: Partial<CertificatePair>): Promise<void> {
    if (pair.cert !== undefined) await writeFile(join(folder, 'tls.crt'), pair.cert);
    if (pair.key !== undefined) await writeFile(join(folder, 'tls.key'), pair.key);
  }

  /** One more look at folder and daemon. */
  async function minutePasses(): Promise<void> {
    await clock.advance(minuteMs);
    await clock.sleeping();
  }

  const issue = (): Promise<CertificatePair & { expiration: Date }> => certificates.issueServer(['localhost']);
  const codes = (kept: HttpsCertificate): string[] => kept.details().map(({ code }) => code);

  it('leaves HTTPS off while there is no certificate, and opens it when the folder gets one', async () => {
    const kept = await keep();
    expect([kept.expires, listeners.https, codes(kept)]).to.deep.equal([undefined, undefined, []]);
    const pair = await issue();
    await write(pair);
    await minutePasses();
    expect(listeners.https).to.not.equal(undefined);
    expect(kept.expires).to.deep.equal(pair.expiration);
  });

  it('takes a renewed pair from the folder, and tells of a half-written or foreign one while the old one serves', async () => {
    const first = await issue();
    await write(first);
    const kept = await keep();
    const second = await issue();
    await write({ cert: second.cert });
    await minutePasses();
    expect([codes(kept), used.length]).to.deep.equal([['CERTIFICATE_UNUSABLE'], 1]);
    await write({ key: second.key });
    await minutePasses();
    expect([codes(kept), used.at(-1)?.cert]).to.deep.equal([[], second.cert]);
    await rm(join(folder, 'tls.key'));
    await minutePasses();
    expect(kept.details()[0]?.description).to.contain('tls.crt alone');
    await write({ cert: 'no certificate', key: second.key });
    await minutePasses();
    expect([codes(kept), kept.expires]).to.deep.equal([['CERTIFICATE_UNUSABLE'], second.expiration]);
  });

  it('asks the daemon where the folder holds none, and again once a third of the lifetime is left', async () => {
    const kept = await keep(issue);
    expect([used.length, kept.expires !== undefined]).to.deep.equal([1, true]);
    await clock.advance(19 * dayMs);
    await clock.sleeping();
    expect(used.length).to.equal(1);
    await clock.advance(2 * dayMs);
    await clock.sleeping();
    expect(used.length).to.equal(2);
    expect(used[0]?.key).to.not.equal(used[1]?.key);
  });

  it('prefers the folder to the daemon', async () => {
    await write(await issue());
    let asked = 0;
    await keep(async () => {
      asked += 1;
      return issue();
    });
    await minutePasses();
    expect(asked).to.equal(0);
  });

  it('goes on with what it has while the daemon is away, says so, and takes the next certificate as soon as there is one', async () => {
    let away = true;
    const kept = await keep(() => (away ? Promise.reject(new Error('connect ENOENT')) : issue()));
    expect([codes(kept), listeners.https]).to.deep.equal([['CERTIFICATE_UNUSABLE'], undefined]);
    away = false;
    await minutePasses();
    expect([codes(kept), listeners.https !== undefined]).to.deep.equal([[], true]);
    away = true;
    const { expires } = kept;
    await clock.advance(27 * dayMs);
    await clock.sleeping();
    expect(codes(kept)).to.have.members(['CERTIFICATE_UNUSABLE', 'CERTIFICATE_EXPIRING']);
    expect(kept.expires).to.equal(expires);
    away = false;
    // The stand-in issues by the machine's clock: what it gives now still has a third to go.
    clock = new ManualClock(new Date());
    await keeper?.close();
    expect(codes(await keep(issue))).to.deep.equal([]);
  });
});
