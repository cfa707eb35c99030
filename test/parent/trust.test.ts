import { expect } from 'chai';
import { connectParent, type ConnectParentOptions } from '../../modules/registry/src/parent/connect-parent.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { createEdgeCertificates, type EdgeCertificates } from '../helpers/edge-certificates.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { failureOf, startScriptedRegistry, type ScriptedRegistry } from './scripted-registry.ts';

describe('createTrust() through connectParent()', () => {
  let certificates: EdgeCertificates;
  let registry: ScriptedRegistry;
  let clock: ManualClock;
  let parent: ParentRegistry | undefined;

  before(async () => (certificates = await createEdgeCertificates()));

  beforeEach(async () => {
    clock = new ManualClock();
    registry = await startScriptedRegistry(
      (_, response) => response.writeHead(200).end(),
      await certificates.issueServer(['127.0.0.1']),
    );
  });

  afterEach(async () => {
    await parent?.close();
    await registry.close();
  });

  function connect(options: Partial<ConnectParentOptions> = {}): ParentRegistry {
    const { endpoint } = registry;
    return (parent = connectParent({ endpoint, protocol: 'https', clock, log: new RecordingLog(), ...options }));
  }

  it('takes a certificate under a root that was handed in', async () => {
    await connect({ certificateAuthorities: async () => [certificates.trustBundle] }).ping();
    expect(registry.lines).to.have.length(1);
  });

  it('says which certificate is not trusted, at once', async () => {
    const failure = await failureOf(connect().ping());
    expect(failure.failure).to.equal('unreachable');
    expect(failure.message).to.include(`the certificate of ${registry.endpoint} is not trusted`);
    expect(registry.lines).to.deep.equal([]);
  });

  it('does not trust another name', async () => {
    await registry.close();
    registry = await startScriptedRegistry(
      (_, response) => response.writeHead(200).end(),
      await certificates.issueServer(['parent.example']),
    );
    const failure = await failureOf(connect({ certificateAuthorities: async () => [certificates.trustBundle] }).ping());
    expect(failure.message).to.include('is not trusted');
  });

  it('asks for the roots again, at most once a minute', async () => {
    let asked = 0;
    const certificateAuthorities = async (): Promise<string[]> => {
      asked += 1;
      return asked < 3 ? [] : [certificates.trustBundle];
    };
    const client = connect({ certificateAuthorities });
    await failureOf(client.ping());
    expect(asked).to.equal(1);
    await clock.advance(60_000);
    await failureOf(client.ping());
    await failureOf(client.ping());
    expect(asked).to.equal(2);
    await clock.advance(60_000);
    await client.ping();
    await client.ping();
    expect(asked).to.equal(3);
  });

  it('tries again after the roots could not be read', async () => {
    let asked = 0;
    const certificateAuthorities = async (): Promise<string[]> => {
      asked += 1;
      if (asked === 1) throw new Error('no workload API yet');
      return [certificates.trustBundle];
    };
    const client = connect({ certificateAuthorities, patience: { attempts: 1 } });
    expect(await failureOf(client.ping())).to.include({ failure: 'unreachable' });
    await client.ping();
  });

  it('says that a root is not a certificate', async () => {
    const broken = '-----BEGIN CERTIFICATE-----\nbm90\n-----END CERTIFICATE-----\n';
    const options = { certificateAuthorities: async () => [broken], patience: { attempts: 1 } };
    expect(await failureOf(connect(options).ping())).to.include({ failure: 'unreachable' });
  });

  it('says that the parent does not speak TLS', async () => {
    await registry.close();
    registry = await startScriptedRegistry((_, response) => response.end());
    const failure = await failureOf(connect({ patience: { attempts: 1 } }).ping());
    expect(failure.message).to.include('does not speak TLS');
  });
});
