import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { HostsFile } from './hosts-file.ts';
import { freePort } from './free-port.ts';
import { Program } from './program.ts';
import { until } from './until.ts';

export interface ApiProxyOptions {
  readonly directory: string;
  /** PEM. For a device below it also has to carry `apiProxyModule`, which that one's proxy checks. */
  readonly certificate: { readonly cert: string; readonly key: string };
  /** CONNECTED_ACR_ROUTE_ADDRESS: host:port of the registry module. Without it requests go to the parent. */
  readonly registry?: string;
  readonly parent?: ApiProxyParent;
  /** An address of this machine. */
  readonly address?: string;
  /** Any free one when absent. */
  readonly port?: number;
  /** The names this device knows. */
  readonly hosts?: HostsFile;
}

export interface ApiProxyParent {
  /** IOTEDGE_PARENTHOSTNAME; its proxy listens on the same port. */
  readonly name: string;
  readonly address: string;
  /** Roots, PEM. */
  readonly trustBundle: string;
  /** `stock`: the module's own template; `pass-through`: ours, from `api-proxy.pass-through.conf`. */
  readonly template: 'stock' | 'pass-through';
}

export interface ApiProxy {
  /** host:port, TLS. */
  readonly endpoint: string;
  readonly program: Program;
  /** Has nginx read its configuration again, as the module does when its certificate is renewed. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** The name that the module has on every layer. */
export const apiProxyModule = 'IoTEdgeAPIProxy';

/**
 * Debian's nginx, set up as the IoT Edge API proxy module sets its own up (Azure/iotedge, edge-modules/api-proxy-module):
 * TLS 1.2 in front; without keep-alive and with requests buffered behind.
 * - With `registry`: `/v2` and `/acr` go there over plain HTTP, with X-Forwarded-Host and -Proto, up to 1000 GB a
 *   request. Its name is looked up once, at start.
 * - With `parent` alone: `/v2` goes to the parent's proxy over TLS, whose certificate has to end in the trust bundle and
 *   to carry the module's name; the parent sees its own name as Host. The stock template passes 1 MB a request at most,
 *   no `/acr`, and the path decoded.
 *
 * Everything else is 404. Rejects with what nginx said when it ends at its start.
 */
export async function startApiProxy(options: ApiProxyOptions): Promise<ApiProxy> {
  const { directory, certificate, parent, address = '127.0.0.1', hosts } = options;
  const port = options.port ?? (await freePort());
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'server.crt'), certificate.cert);
  await writeFile(join(directory, 'private_key_server.pem'), certificate.key, { mode: 0o600 });
  if (parent) await writeFile(join(directory, 'trustedCA.crt'), parent.trustBundle);
  const configuration = join(directory, 'nginx.conf');
  await writeFile(configuration, await configure(options, `${address}:${port}`));

  const start = ['-p', directory, '-c', configuration, '-g', `daemon off; user root; pid ${directory}/nginx.pid;`];
  const nginx = hosts?.command('/usr/sbin/nginx', start) ?? { command: '/usr/sbin/nginx', arguments: start };
  const program = new Program(nginx);
  const ended = program.exited.then((code) => {
    throw new Error(`nginx ended with ${String(code)} at its start:\n${program.output}`);
  });
  ended.catch(() => undefined);
  await Promise.race([until('nginx listens', () => listens(address, port), 10_000), ended]);
  return {
    endpoint: `${address === '127.0.0.1' ? 'localhost' : address}:${port}`,
    program,
    async reload() {
      const before = reloads(program);
      program.process.kill('SIGHUP');
      await until('nginx has read its configuration', () => Promise.resolve(reloads(program) > before), 10_000);
    },
    async close() {
      await program.stop();
    },
  };
}

/** A worker that stops says so, once the new ones run. */
function reloads({ lines }: Program): number {
  return lines.filter((line) => line.includes('gracefully shutting down')).length;
}

async function configure({ directory, registry, parent }: ApiProxyOptions, listen: string): Promise<string> {
  if (registry === undefined && parent?.template === 'pass-through') return passThrough(directory, parent, listen);
  return `error_log stderr notice;
events {}
http {
  access_log off;
  ${temporaryPaths(directory)}
  proxy_buffers 32 160k;
  proxy_buffer_size 160k;
  proxy_read_timeout 3600;
  server {
    listen ${listen} ssl default_server;
    ssl_protocols TLSv1.2;
    ssl_certificate server.crt;
    ssl_certificate_key private_key_server.pem;
    ${parent ? 'ssl_client_certificate trustedCA.crt;\n    ssl_verify_client optional_no_ca;' : ''}
    if ($http_x_ms_version) {
      rewrite ^(.*)$ /parent$1 last;
    }
    ${registry === undefined ? 'if ($uri ~ ^/v2*.) {\n      rewrite ^(.*)$ /parent$1 last;\n    }' : ''}
    ${registry === undefined ? '' : ['/v2', '/acr'].map((path) => registryRoute(path, registry)).join('')}
    ${parent ? parentRoute(parent, portOf(listen)) : ''}
  }
}
`;
}

function registryRoute(path: string, registry: string): string {
  return `
    location ${path} {
      client_max_body_size 1000G;
      proxy_http_version 1.1;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_pass http://${registry};
    }`;
}

/** The module has the parent's name looked up for each request, by docker's DNS; here it is found already. */
function parentRoute({ name, address }: ApiProxyParent, port: string): string {
  return `
    location ~ ^/parent/(.*) {
      proxy_http_version 1.1;
      proxy_set_header Host ${name}:${port};
      proxy_ssl_server_name on;
      proxy_ssl_name ${apiProxyModule};
      proxy_ssl_trusted_certificate trustedCA.crt;
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 7;
      set $parent ${address}:${port};
      proxy_pass https://$parent/$1$is_args$args;
    }`;
}

/** Our template as the module fills it in, but for the listener's address and for what nginx keeps where. */
async function passThrough(directory: string, parent: ApiProxyParent, listen: string): Promise<string> {
  const template = await readFile(new URL('../../api-proxy.pass-through.conf', import.meta.url), 'utf8');
  const values: Record<string, string> = {
    NGINX_DEFAULT_PORT: portOf(listen),
    NGINX_DEFAULT_TLS: 'TLSv1.2',
    IOTEDGE_PARENTHOSTNAME: parent.name,
    IOTEDGE_MODULEID: apiProxyModule,
  };
  return (
    template
      .replace(/\$\{(\w+)\}/g, (_, name: string) => {
        const value = values[name];
        if (value === undefined) throw new Error(`the template names ${name}`);
        return value;
      })
      .replace(/listen \d+/, `listen ${listen}`)
      .replace('http {', `http {\n  ${temporaryPaths(directory)}`)
      // Neither can be opened where they are sockets.
      .replace('access_log /dev/stdout', 'access_log off')
      .replace('error_log /dev/stdout info', 'error_log stderr notice')
  );
}

function temporaryPaths(directory: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${join(directory, what)};`)
    .join(' ');
}

function portOf(listen: string): string {
  return listen.slice(listen.lastIndexOf(':') + 1);
}

function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
