import type { Account } from './pull-image.ts';

export interface Answer {
  readonly status: number;
  /** Of an error document: its first code. */
  readonly code: string | undefined;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** One request as a plain client makes it, with Basic credentials, an Authorization header of its own, or none. */
export async function ask(
  url: string,
  authorization: Account | string | undefined,
  options: { method?: string; headers?: Readonly<Record<string, string>>; body?: string | Buffer } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(authorization !== undefined && { authorization: headerOf(authorization) }) },
    ...(body !== undefined && { body }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const code = /^\{"errors":\[\{"code":"([A-Z_]+)"/.exec(bytes.toString('latin1'))?.[1];
  return { status: response.status, code, headers: response.headers, body: bytes };
}

function headerOf(authorization: Account | string): string {
  if (typeof authorization === 'string') return authorization;
  const { name, password } = authorization;
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}
