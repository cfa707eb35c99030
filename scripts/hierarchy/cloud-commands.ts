import { gatewayActions } from '../../modules/registry/src/settings/permission.ts';
import type { CloudState } from './state.ts';
import { passwordVariable } from './layer-variables.ts';
import { shellCommand, shellWord } from './shell.ts';

/**
 * Shell lines that give a top layer its sync token in the cloud registry, each harmless when run again: a scope map is
 * replaced, a token made once, and a password asked for while `envFile` holds none.
 */
export function cloudCommands(name: string, cloud: CloudState, envFile: string): string[] {
  const { kind, loginServer, grants, password } = cloud;
  if (kind === 'oci') {
    const rights = grants.map(({ repository, actions }) => `#   ${repository}: ${actions.join(' ')}`);
    return [
      `# At ${loginServer}, make the account ${name} with these rights, and write its password as`,
      `# ${passwordVariable}='…' into ${envFile}:`,
      ...rights,
    ];
  }
  const registry = acrName(loginServer);
  const repositories = grants.flatMap(({ repository, actions }) => ['--repository', repository, ...actions]);
  const gateway = ['--gateway', name.toLowerCase(), ...gatewayActions];
  const token = ['--registry', registry, '--name', name];
  const created = shellCommand('az', 'acr', 'token', 'create', ...token, '--scope-map', name, '--no-passwords', 'true');
  const generated = shellCommand(
    ...['az', 'acr', 'token', 'credential', 'generate', ...token, `--${password}`],
    ...['--query', `passwords[?name=='${password}'].value | [0]`, '--output', 'tsv'],
  );
  const file = shellWord(envFile);
  return [
    shellCommand('az', 'acr', 'scope-map', 'create', ...token, ...repositories, ...gateway),
    `${shellCommand('az', 'acr', 'token', 'show', ...token, '--output', 'none')} 2>/dev/null || ${created}`,
    `if ! grep -q '^${passwordVariable}=.' ${file} 2>/dev/null; then`,
    `  password=$(${generated})`,
    `  test -n "$password"`,
    `  printf "${passwordVariable}='%s'\\n" "$password" > ${file}`,
    `  again=yes`,
    `fi`,
  ];
}

/** Takes the sync token of a top layer back. */
export function cloudCleanUp(name: string, { kind, loginServer }: CloudState): string[] {
  if (kind === 'oci') return [`# At ${loginServer}, remove the account ${name}.`];
  const token = ['--registry', acrName(loginServer), '--name', name, '--yes'];
  return [
    shellCommand('az', 'acr', 'token', 'delete', ...token),
    shellCommand('az', 'acr', 'scope-map', 'delete', ...token),
  ];
}

/** `contoso` of `contoso.azurecr.io`. */
function acrName(loginServer: string): string {
  return loginServer.replace(/[.:].*$/, '');
}
