import type { ServerResponse } from 'node:http';

/** Header values of one answer. */
export type Headers = Record<string, string | number | string[]>;

/** Answers without a body. */
export function answerEmpty(response: ServerResponse, status: number, headers: Headers = {}): void {
  response.writeHead(status, status === 204 || status === 304 ? headers : { 'Content-Length': 0, ...headers });
  response.end();
}

/** Answers `value` as JSON; node leaves the body out for HEAD. */
export function answerJson(response: ServerResponse, status: number, value: unknown, headers: Headers = {}): void {
  answerBytes(response, status, Buffer.from(JSON.stringify(value)), { 'Content-Type': 'application/json', ...headers });
}

/** Answers `bytes` whole. */
export function answerBytes(response: ServerResponse, status: number, bytes: Buffer, headers: Headers): void {
  response.writeHead(status, { ...headers, 'Content-Length': bytes.length });
  response.end(bytes);
}
