import { expect } from 'chai';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { ChildRegistry, TokenPassword } from '../../modules/registry/src/settings/settings.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { openFaultySite, type FaultySite } from './faulty-site.ts';

const hourMs = 3_600_000;
const name = 'childsync';
const [first, second] = ['child-password', 'second-password'];
const manifest = '/v2/plant/hello/manifests/v1';

/** Engine and parent of our kind over real HTTP; the parent's clock and settings are moved. */
describe('the sync token of a child', () => {
  let site: FaultySite;

  beforeEach(async () => {
    site = await openFaultySite();
    await pushImage(site.parent.store.local, repository('plant/hello'), sampleImage(['hello']), tag('v1'));
    await accept(await password(first));
    start(first);
    await site.until(({ inSync, connectionState }) => inSync && connectionState === 'Online');
  });
  afterEach(() => site.close());

  async function password(plain: string, lifetimeMs?: number): Promise<TokenPassword> {
    const expiry = lifetimeMs === undefined ? undefined : new Date(site.parent.clock.now().getTime() + lifetimeMs);
    return { name: plain, hash: await hashPassword(plain, { ln: 10 }), expiry };
  }

  /** The parent takes these from now on. */
  async function accept(...passwords: TokenPassword[]): Promise<void> {
    apply({ name, passwords, status: 'enabled' });
  }

  function apply(syncToken: ChildRegistry['syncToken']): void {
    const repositories = [parseRepositoryPattern('plant/*')!];
    const child = { name: 'plant7line3', mode: 'ReadWrite' as const, repositories, syncToken };
    site.parent.applyAccounts({ clientTokens: [], scopeMaps: [], children: [child] });
  }

  /** The child uses this one from now on. */
  function start(plain: string): void {
    site.start({
      parent: {
        ...{ gatewayEndpoint: site.proxy.host, protocol: 'http', syncProperties: { schedule: '* * * * *' } },
        syncToken: { name, password: plain },
      },
    });
  }

  const pull = async (plain: string): Promise<number> =>
    (await site.parent.ask('GET', manifest, { as: `${name}:${plain}` })).status;
  const isRefused = ({ connectionState, inSync, details }: SyncStatus): boolean =>
    connectionState === 'Unhealthy' && !inSync && details.some(({ code }) => code === 'PARENT_UNAUTHORIZED');

  it('ends with its expiry, for the gateway and for pulls, in the middle of what is granted already', async () => {
    await accept(await password(first, hourMs));
    expect(await pull(first)).to.equal(200);
    await site.parent.clock.advance(hourMs);
    expect(await pull(first)).to.equal(401);
    await site.until(isRefused);
  });

  it('is rotated without a gap: the second password is good before the first goes', async () => {
    await accept(await password(first), await password(second));
    start(second);
    const { trigger } = await site.until((status) => status.inSync && status.trigger === 'SyncTokenUpdate');
    expect(trigger).to.equal('SyncTokenUpdate');
    await accept(await password(second));
    expect([await pull(first), await pull(second)]).to.deep.equal([401, 200]);
    await pushImage(site.parent.store.local, repository('plant/hello'), sampleImage(['hello 2']), tag('v2'));
    const status = await site.until(
      async () => (await site.store.resolveTag(repository('plant/hello'), tag('v2'))) !== undefined,
    );
    expect(status.details).to.deep.equal([]);
  });

  it('is disabled: the child is switched off, tells so, and goes on when it is enabled again', async () => {
    const passwords = [await password(first)];
    apply({ name, passwords, status: 'disabled' });
    expect(await pull(first)).to.equal(401);
    await site.until(isRefused);
    expect(await site.store.resolveTag(repository('plant/hello'), tag('v1')), 'what is here stays').not.to.equal(
      undefined,
    );
    apply({ name, passwords, status: 'enabled' });
    await site.until(({ inSync, connectionState }) => inSync && connectionState === 'Online');
  });
});
