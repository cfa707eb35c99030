import { expect } from 'chai';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../../modules/registry/src/auth/password-hash.ts';
import { property } from '../../../modules/registry/src/settings/entries.ts';
import type { JsonObject } from '../../../modules/registry/src/twin/twin.ts';
import { createOptionsKey } from '../../../scripts/deployment/create-options.ts';
import { contentsOf, environmentOf, modulesOf } from '../../../scripts/deployment/manifest.ts';
import { startCloud, type Cloud } from '../../helpers/cloud.ts';
import { startEdgeSite } from '../../helpers/edge-site.ts';
import type { Properties } from '../../helpers/edgehub-rules.ts';
import { freePort } from '../../helpers/free-port.ts';
import { sampleImage } from '../../helpers/images.ts';
import { startLayer, type Layer } from '../../helpers/layer.ts';
import { pullImage, type Account } from '../../helpers/pull-image.ts';
import { arrives, push } from '../../hierarchy/push.ts';
import { openStage, type Stage } from '../../hierarchy/stage.ts';
import { changed, renderSample, variables } from './samples.ts';

interface Deployed {
  readonly environment: Readonly<Record<string, string>>;
  readonly desired: Properties;
  readonly createOptions: Properties;
}

/** What edgeAgent and edgeHub would hand to our module. */
function deployedBy(manifest: JsonObject): Deployed {
  const module = modulesOf(manifest).find(({ name }) => name === 'connectedregistry');
  const content = contentsOf(manifest).find(({ name }) => name === 'connectedregistry');
  if (!module || !content) throw new Error('no such module');
  const settings = property(module, 'settings').value as Record<string, string>;
  const parts = Array.from({ length: 100 }, (_, index) => settings[createOptionsKey(index)] ?? '');
  const createOptions = JSON.parse(parts.join('')) as Properties & { readonly Env?: readonly string[] };
  const inOptions = (createOptions.Env ?? []).map((pair) => /^([^=]*)=(.*)$/s.exec(pair)?.slice(1) ?? []);
  const written = environmentOf(module).map(({ name, value }) => [name, String(value)]);
  return {
    environment: Object.fromEntries([...inOptions, ...written]) as Record<string, string>,
    desired: property(content, 'properties.desired').value as Properties,
    createOptions,
  };
}

const cloudAccount: Account = { name: 'plant7', password: 'cloud=$password#1' };
const childAccount: Account = { name: 'plant7line3', password: 'child-sync-password' };
const client: Account = { name: 'line3', password: 'client-password' };
const image = sampleImage(['layer one', 'layer two']);

/** The rendered environment and desired properties, given to real module processes. */
describe('a rendered deployment', function () {
  this.timeout(60_000);

  let stage: Stage;
  let cloud: Cloud;
  let upper: Layer;
  let upperHttps: number;
  let filled: Record<string, string | undefined>;

  before(async () => {
    stage = await openStage();
    cloud = await stage.open(
      startCloud({
        kind: 'connected-registry',
        directory: join(stage.directory, 'cloud'),
        account: cloudAccount,
        registryBelow: 'plant7',
      }),
    );
    await push(cloud.endpoint, cloudAccount, 'plant/hello', image, '1');
    filled = {
      ...variables,
      ACR_REGISTRY_CONNECTION_STRING: connectionString('plant7'),
      SYNC_TOKEN_PASSWORD: childAccount.password,
      SYNC_SCHEDULE: '* * * * *',
      CLIENT_TOKEN_NAME: client.name,
      CLIENT_TOKEN_HASH: await hashPassword(client.password),
    };
  });
  after(() => stage.close());

  function connectionString(name: string, { endpoint } = cloud): string {
    const { name: token, password } = cloudAccount;
    return `ConnectedRegistryName=${name};SyncTokenName=${token};SyncTokenPassword=${password};ParentGatewayEndpoint=${endpoint};ParentEndpointProtocol=http`;
  }

  /** A process has no container: its ports and volumes are the test's, everything else is the manifest's. */
  async function start(
    name: string,
    deployed: Deployed,
    more: { variables?: Record<string, string>; parentHostName?: string; deviceId?: string } = {},
  ): Promise<Layer> {
    const { variables: extra, ...siteOptions } = more;
    const { ACR_REGISTRY_METRICS_PORT: metrics, ...environment } = deployed.environment;
    expect(deployed.createOptions).to.have.nested.property(`ExposedPorts.${String(metrics)}/tcp`);
    return stage.open(
      startLayer({
        name,
        directory: join(stage.directory, name),
        parent: { endpoint: 'overridden.example', syncToken: cloudAccount },
        desired: deployed.desired,
        site: await startEdgeSite({ modules: ['registry'], ...siteOptions }),
        variables: { ...environment, ...extra },
      }),
    );
  }

  const applied = (report: Properties): boolean =>
    (report['settings'] as { status?: string } | undefined)?.status === 'Applied';

  it('of the top layer starts a module that syncs from the cloud and lets the client pull', async () => {
    const deployed = deployedBy(await renderSample({ variables: filled }));
    const passwords = [{ name: 'password1', hash: await hashPassword(childAccount.password) }];
    const child = {
      name: 'plant7line3',
      mode: 'ReadOnly',
      repositories: [
        'plant/*',
        'azureiotedge-agent',
        'azureiotedge-hub',
        'azureiotedge-api-proxy',
        'connected-registry',
      ],
      syncToken: { name: childAccount.name, passwords },
    };
    const site = await startEdgeSite({ modules: ['registry'] });
    const certificate = await site.issueServerCertificate('localhost');
    const certificates = join(stage.directory, 'upper', 'certs');
    await mkdir(certificates, { recursive: true });
    await writeFile(join(certificates, 'tls.crt'), certificate.cert);
    await writeFile(join(certificates, 'tls.key'), certificate.key);
    const trusted = join(stage.directory, 'lower', 'certs');
    await mkdir(trusted, { recursive: true });
    await writeFile(join(trusted, 'ca.crt'), site.trustBundle);
    await site.close();
    upperHttps = await freePort();
    const desired = changed(deployed.desired, ['children'], [child]) as Properties;
    upper = await start(
      'upper',
      { ...deployed, desired },
      { variables: { ACR_REGISTRY_HTTPS_PORT: String(upperHttps) } },
    );
    await upper.reported('settings applied', applied);
    await arrives(upper.url, client, ['plant/hello', '1'], image);
    expect((await pullImage(upper.url, client, 'plant/hello', '1')).digest).to.equal(image.manifest.digest);
    expect(upper.report.mode).to.equal('ReadOnly');
  });

  it('of a nested layer starts a module that finds its parent by $IOTEDGE_PARENTHOSTNAME, over TLS', async () => {
    const deployed = deployedBy(await renderSample({ name: 'deployment.nested.template.json', variables: filled }));
    const written = deployed.environment['ACR_REGISTRY_CONNECTION_STRING'] ?? '';
    expect(written).to.include('ParentGatewayEndpoint=$IOTEDGE_PARENTHOSTNAME:8000;');
    // The parent's API proxy, which has port 8000 of its device, is not here.
    const atParent = { ACR_REGISTRY_CONNECTION_STRING: written.replace(':8000;', `:${upperHttps};`) };
    const lower = await start('lower', deployed, { variables: atParent, parentHostName: 'localhost' });
    await lower.reported('settings applied', applied);
    await arrives(lower.url, client, ['plant/hello', '1'], image);
  });

  it('of a fleet starts a module under the name of its device', async () => {
    const fleet = await stage.open(
      startCloud({
        kind: 'connected-registry',
        directory: join(stage.directory, 'fleet'),
        account: cloudAccount,
        registryBelow: 'device7',
      }),
    );
    await push(fleet.endpoint, cloudAccount, 'plant/hello', image, '1');
    const connection = connectionString('$IOTEDGE_DEVICEID', fleet);
    const manifest = await renderSample({
      name: 'deployment.layered.template.json',
      variables: { ...filled, ACR_REGISTRY_CONNECTION_STRING: connection },
    });
    const member = await start('member', deployedBy(manifest), { deviceId: 'device7' });
    await member.reported('settings applied', applied);
    await arrives(member.url, client, ['plant/hello', '1'], image);
  });
});
