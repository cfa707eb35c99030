import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { Program } from './program.ts';
import { until } from './until.ts';

export interface ApiProxy {
  /** host:port, TLS. */
  readonly endpoint: string;
  close(): Promise<void>;
}

/**
 * Debian's nginx, set up as the IoT Edge API proxy module is with CONNECTED_ACR_ROUTE_ADDRESS: TLS 1.2 in front, only
 * `/v2` and `/acr` routed, plain HTTP without keep-alive behind, request buffering on, X-Forwarded-Host and -Proto set.
 */
export async function startApiProxy(options: {
  readonly directory: string;
  /** host:port of the registry module. */
  readonly registry: string;
  readonly certificate: { readonly cert: string; readonly key: string };
}): Promise<ApiProxy> {
  const { directory, registry, certificate } = options;
  const port = await freePort();
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'server.crt'), certificate.cert);
  await writeFile(join(directory, 'server.key'), certificate.key, { mode: 0o600 });
  const route = `
      proxy_http_version 1.1;
      proxy_set_header Connection close;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_read_timeout 3600;
      client_max_body_size 1000G;
      proxy_pass http://${registry};`;
  await writeFile(
    join(directory, 'nginx.conf'),
    `daemon off; pid ${directory}/nginx.pid; error_log stderr warn; user root;
events {}
http {
  access_log off;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_protocols TLSv1.2;
    ssl_certificate ${directory}/server.crt;
    ssl_certificate_key ${directory}/server.key;
    location /v2 {${route}
    }
    location /acr {${route}
    }
  }
}
`,
  );
  const program = new Program({
    command: '/usr/sbin/nginx',
    arguments: ['-p', directory, '-c', join(directory, 'nginx.conf')],
  });
  await until('nginx listens', () => listens(port), 10_000);
  return {
    endpoint: `localhost:${port}`,
    async close() {
      await program.stop();
    },
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
