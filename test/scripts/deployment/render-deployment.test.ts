import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { JsonObject } from '../../../modules/registry/src/twin/twin.ts';
import { checkDeployment } from '../../../scripts/deployment/check-deployment.ts';
import { modulesOf, systemModulesOf } from '../../../scripts/deployment/manifest.ts';
import { platforms } from '../../../scripts/deployment/module-source.ts';
import { expressionsIn, isVariableName } from '../../../scripts/deployment/placeholders.ts';
import { renderDeployment, rendererVariables } from '../../../scripts/deployment/render-deployment.ts';
import { readTemplate } from '../../../scripts/deployment/render-files.ts';
import { changed, modules, renderSample, root, templates, tryRender, variables } from './samples.ts';

const agent = ['modulesContent', '$edgeAgent', 'properties.desired'];

function imageOf(manifest: unknown, name: string): string {
  const found = [...modulesOf(manifest), ...systemModulesOf(manifest)].find((module) => module.name === name);
  return (found?.value as { settings: { image: string } }).settings.image;
}

describe('the deployment templates', () => {
  for (const name of templates) {
    for (const platform of platforms) {
      it(`${name} renders for ${platform} with the values of .env.example, and nothing of a template is left`, async () => {
        const manifest = await renderSample({ name, platform });
        expect(checkDeployment(manifest)).to.deep.equal([]);
        expect(Object.keys(manifest)).to.deep.equal(['modulesContent']);
        expect(imageOf(manifest, 'connectedregistry')).to.match(
          new RegExp(`/connected-registry:0\\.1\\.0-${platform}$`),
        );
        expect(JSON.stringify(manifest)).not.to.include('${');
      });
    }
  }

  it('use the variables of .env.example, and .env.example has no others', async () => {
    const files = [...templates, 'modules/registry/module.json'];
    const texts = await Promise.all(files.map((file) => readFile(root + file, 'utf8')));
    const used = texts.flatMap(withoutComments).flatMap(expressionsIn).filter(isVariableName);
    expect([...new Set([...used, ...rendererVariables])].sort()).to.deep.equal(Object.keys(variables).sort());
  });

  it('start edgeHub first, then the registry, then the API proxy, on every layer', async () => {
    for (const name of ['deployment.template.json', 'deployment.nested.template.json'] as const) {
      const manifest = await renderSample({ name });
      const all = [...systemModulesOf(manifest), ...modulesOf(manifest)];
      const order = Object.fromEntries(
        all.map((module) => [module.name, (module.value as { startupOrder?: number }).startupOrder]),
      );
      expect(order).to.include({ edgeHub: 0, connectedregistry: 1, IoTEdgeAPIProxy: 2 });
    }
  });

  it('take every image of a nested layer from its parent', async () => {
    const manifest = await renderSample({ name: 'deployment.nested.template.json' });
    for (const name of ['edgeAgent', 'edgeHub', 'connectedregistry', 'IoTEdgeAPIProxy']) {
      expect(imageOf(manifest, name)).to.match(/^\$upstream:8000\//);
    }
    expect(manifest).to.have.nested.property(
      'modulesContent.$edgeAgent.properties\\.desired.runtime.settings.registryCredentials.parent.address',
      '$upstream:8000',
    );
  });
});

describe('renderDeployment()', () => {
  const image = [...agent, 'modules', 'connectedregistry', 'settings', 'image'];
  const render = async (path: readonly string[], value: unknown, more: object = {}) => {
    const template = changed(await readTemplate(`${root}deployment.template.json`), path, value);
    return renderDeployment({ template, variables, modules, platform: 'amd64', ...more });
  };

  const images: readonly (readonly [string, string])[] = [
    ['${MODULES.registry}', 'contoso.azurecr.io/connected-registry:0.1.0-amd64'],
    ['${MODULES.registry.arm64v8}', 'contoso.azurecr.io/connected-registry:0.1.0-arm64v8'],
    ['${MODULEDIR<modules/registry>}', 'contoso.azurecr.io/connected-registry:0.1.0-amd64'],
    ['${MODULEDIR<./modules/../modules/registry/>.arm32v7}', 'contoso.azurecr.io/connected-registry:0.1.0-arm32v7'],
  ];
  for (const [written, expected] of images) {
    it(`makes ${expected} of ${written}`, async () => {
      const rendered = await render(image, written);
      expect(rendered.ok && imageOf(rendered.manifest, 'connectedregistry')).to.equal(expected);
    });
  }

  it('puts CONTAINER_TAG between version and platform', async () => {
    const manifest = await renderSample({ variables: { ...variables, CONTAINER_TAG: 'rc1' } });
    expect(imageOf(manifest, 'connectedregistry')).to.equal('contoso.azurecr.io/connected-registry:0.1.0-rc1-amd64');
  });

  it('leaves names without braces to IoT Edge, and puts a value into its string whatever it holds', async () => {
    const password = 'a"b\\c}${REGISTRY_MODE}$upstream';
    const manifest = await renderSample({
      name: 'deployment.nested.template.json',
      variables: { ...variables, SYNC_TOKEN_PASSWORD: password },
    });
    const registry = modulesOf(manifest).find(({ name }) => name === 'connectedregistry');
    expect(registry?.value).to.have.nested.property(
      'env.ACR_REGISTRY_CONNECTION_STRING.value',
      `ConnectedRegistryName=plant7line3;SyncTokenName=plant7line3;SyncTokenPassword=${password};ParentGatewayEndpoint=$IOTEDGE_PARENTHOSTNAME:8000;ParentEndpointProtocol=https`,
    );
  });

  it('takes desired properties instead of the template’s, and checks them alike', async () => {
    const desired: JsonObject = { mode: 'ReadWrite', parent: { syncProperties: { schedule: '* * * * *' } } };
    const manifest = await renderSample({ desired });
    expect(manifest)
      .to.have.nested.property('modulesContent.connectedregistry.properties\\.desired')
      .that.equals(desired);
    const refused = await tryRender({ desired: { mode: 'Sometimes' } });
    expect(refused.ok ? [] : refused.problems.map(({ path }) => path)).to.deep.equal([
      '/modulesContent/connectedregistry/properties.desired/mode',
    ]);
  });

  it('names every variable that is not defined, where it stands, and no value', async () => {
    const gone = { CONTAINER_REGISTRY_SERVER: undefined, REGISTRY_MODE: undefined };
    const refused = await tryRender({ variables: { ...variables, ...gone } });
    expect(refused).to.deep.equal({
      ok: false,
      problems: [
        {
          path: `/${agent.join('/')}/runtime/settings/registryCredentials/cloud/address`,
          message: 'variable CONTAINER_REGISTRY_SERVER is not defined',
        },
        {
          path: `/${image.join('/')}`,
          message: 'variable CONTAINER_REGISTRY_SERVER is not defined (modules/registry/module.json, image.repository)',
        },
        {
          path: '/modulesContent/connectedregistry/properties.desired/mode',
          message: 'variable REGISTRY_MODE is not defined',
        },
      ],
    });
  });

  const refused: readonly (readonly [string, readonly string[], unknown, RegExp])[] = [
    ['a module that is not there', image, '${MODULES.registri}', /modules\/registri, which holds no module.json/],
    ['a folder that is not there', image, '${MODULEDIR<../elsewhere>}', /\.\.\/elsewhere, which holds no module.json/],
    ['a platform module.json lacks', image, '${MODULES.registry.amd64.debug}', /platform amd64\.debug; .* has amd64, /],
    ['an expression that is none', image, '${MODULES}/${a-b}', /\$\{a-b\} is neither a variable nor a module/],
    ['a key with a placeholder', [...agent, 'modules', '${NAME}'], {}, /must be a key without/],
    ['own variables that are no strings', ['$variables'], { PORT: 8000 }, /must be an object of strings/],
    [
      'createOptions beyond a hundred parts',
      [...agent, 'modules', 'connectedregistry', 'settings', 'createOptions'],
      { Labels: { long: 'x'.repeat(51_200) } },
      /must be at most 51200 characters as JSON, found 512\d\d/,
    ],
  ];
  for (const [what, path, value, message] of refused) {
    it(`refuses ${what}, with its place`, async () => {
      const rendered = await render(path, value);
      const found = rendered.ok ? [] : rendered.problems.filter((problem) => message.test(problem.message));
      expect(found.map((problem) => problem.path)).to.deep.equal([`/${path.join('/')}`]);
    });
  }

  it('refuses a template that is no object', () => {
    const rendered = renderDeployment({ template: [], variables, modules, platform: 'amd64' });
    expect(rendered).to.deep.equal({ ok: false, problems: [{ path: '', message: 'must be an object' }] });
  });

  it('refuses a module.json without a version', async () => {
    const [registry] = modules;
    const document = changed(registry!.document, ['image', 'tag', 'version'], undefined);
    const rendered = await tryRender({ modules: [{ ...registry!, document }] });
    expect(rendered.ok ? '' : rendered.problems[0]!.message).to.equal(
      'modules/registry/module.json: /image/tag/version is required',
    );
  });
});

/** Commented lines may show what else is possible. */
function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\/.*$/gm, '');
}
