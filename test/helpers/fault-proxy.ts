import { once } from 'node:events';
import { createServer, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What happens to a request. `of`: counted in the body of the answer, unless it says the request's. */
export type Fault =
  /** The connection ends after so many bytes; 0 of an answer: the request is done, and nobody hears of it. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly of?: 'request' }
  /** Nothing more comes after so many bytes, and the connection stays: half-open. */
  | { readonly kind: 'silent'; readonly afterBytes: number; readonly of?: 'request' }
  /** One byte is another one; in an answer without so many bytes nothing is wrong. */
  | { readonly kind: 'flip'; readonly atByte: number; readonly of?: 'request' }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number; readonly of?: 'request' }
  /** The request is handed on only then. */
  | { readonly kind: 'late'; readonly until: Promise<void> }
  /** This, instead of the registry's answer; the registry is not asked. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body?: string;
      readonly headers?: OutgoingHttpHeaders;
    }
  /** No HTTP at all. */
  | { readonly kind: 'garbage' };

/** A proxy before a registry (plain HTTP) that counts what passes, and spoils it as a test wants. */
export interface FaultProxy {
  /** host:port */
  readonly host: string;
  readonly port: number;
  /** `GET /v2/plant/hello/blobs/sha256:…`, in order; what only asks for credentials is left out. */
  readonly lines: string[];
  /** Lines that begin so. */
  asked(beginning: string): number;
  /** Bytes of blobs' contents that have passed downwards. */
  readonly passedBytes: number;
  /** Bytes of requests' bodies that have passed upwards. */
  readonly sentBytes: number;
  /** So many bytes of blobs' contents may pass downwards in all; resolves once something waits for more. */
  allow(bytes: number): Promise<void>;
  /** It happens to the next `times` requests whose line (token requests too) matches; resolves at the first of them. */
  fail(which: RegExp, fault: Fault, times?: number): Promise<void>;
  /** Ends every connection, and each new one at once, until `heal`. */
  down(): void;
  /** No fault any more for new requests; connections that hang are ended. */
  heal(): void;
  /** Ends every connection; what comes over new ones passes. */
  cut(): void;
  close(): Promise<void>;
}

interface Rule {
  readonly which: RegExp;
  readonly fault: Fault;
  timesLeft: number;
  readonly struck: () => void;
}

class Cut extends Error {}

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const lines: string[] = [];
  let rules: Rule[] = [];
  let [allowedBytes, passedBytes, sentBytes] = [Infinity, 0, 0];
  let waiting: (() => void)[] = [];
  let onFull = (): void => undefined;
  let isDown = false;

  function takeFault(line: string): Fault | undefined {
    const rule = rules.find(({ which, timesLeft }) => timesLeft > 0 && which.test(line));
    if (!rule) return undefined;
    rule.timesLeft -= 1;
    rule.struck();
    return rule.fault;
  }

  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const line = `${method} ${url}`;
    if (headers.authorization !== undefined && !url.includes('oauth2')) lines.push(line);
    const fault = takeFault(line);
    if (fault?.kind === 'late') await fault.until;
    if (fault?.kind === 'garbage') {
      request.socket.end('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n');
      return;
    }
    if (fault?.kind === 'answer') {
      request.resume();
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    const asking = httpRequest(`http://${upstream}${url}`, { method, headers, agent: false });
    response.once('close', () => asking.destroy());
    const answered = once(asking, 'response') as Promise<[IncomingMessage]>;
    const sent = sendRequest(request, asking, fault);
    const [[answer]] = await Promise.all([answered, sent]);
    await sendAnswer(answer, response, { fault, isBlob: method === 'GET' && url.includes('/blobs/sha') });
  }

  async function sendRequest(request: IncomingMessage, asking: ClientRequest, fault: Fault | undefined): Promise<void> {
    const spoil = spoiler(fault && 'of' in fault && fault.of === 'request' ? fault : undefined);
    for await (const chunk of request as AsyncIterable<Buffer>) {
      for await (const piece of spoil(chunk)) {
        await new Promise<void>((resolve) => asking.write(piece, () => resolve()));
        sentBytes += piece.length;
      }
    }
    asking.end();
  }

  async function sendAnswer(
    answer: IncomingMessage,
    response: ServerResponse,
    { fault, isBlob }: { readonly fault: Fault | undefined; readonly isBlob: boolean },
  ): Promise<void> {
    const spoil = spoiler(fault && 'of' in fault && fault.of === 'request' ? undefined : fault);
    // What breaks off at once has no head either.
    await spoil(Buffer.alloc(0)).next();
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    response.flushHeaders();
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      for await (const piece of spoil(chunk)) {
        for (let rest = piece; rest.length > 0;) {
          const part = isBlob ? rest.subarray(0, await room()) : rest;
          if (response.destroyed) throw new Cut();
          if (isBlob) passedBytes += part.length;
          await new Promise((resolve) => response.write(part, resolve));
          rest = rest.subarray(part.length);
        }
      }
    }
    response.end();
  }

  /** How many bytes of blobs may pass now; waits until there are some. */
  async function room(): Promise<number> {
    while (passedBytes >= allowedBytes) {
      onFull();
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    return allowedBytes - passedBytes;
  }

  function letGo(): void {
    for (const resolve of waiting.splice(0)) resolve();
    waiting = [];
  }

  const server = createServer((request, response) => {
    forward(request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    if (isDown) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const proxy: FaultProxy = {
    host: `127.0.0.1:${port}`,
    port,
    lines,
    asked: (beginning) => lines.filter((line) => line.startsWith(beginning)).length,
    get passedBytes() {
      return passedBytes;
    },
    get sentBytes() {
      return sentBytes;
    },
    allow(bytes) {
      allowedBytes = bytes;
      const full = new Promise<void>((resolve) => (onFull = resolve));
      letGo();
      return full;
    },
    fail: (which, fault, times = Infinity) =>
      new Promise((resolve) => rules.push({ which, fault, timesLeft: times, struck: resolve })),
    down() {
      isDown = true;
      server.closeAllConnections();
    },
    heal() {
      rules = [];
      isDown = false;
      server.closeAllConnections();
    },
    cut() {
      allowedBytes = Infinity;
      server.closeAllConnections();
      letGo();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

/** Passes a body's chunks on as the fault leaves them. Throws Cut where it ends; never resolves where it falls silent. */
function spoiler(fault: Fault | undefined): (chunk: Buffer) => AsyncGenerator<Buffer> {
  let position = 0;
  return async function* (chunk) {
    const begin = position;
    position += chunk.length;
    if (fault?.kind === 'cut' || fault?.kind === 'silent') {
      const whole = fault.afterBytes - begin;
      if (whole > 0) yield chunk.subarray(0, whole);
      if (fault.afterBytes > position || (fault.afterBytes === position && whole > 0)) return;
      if (fault.kind === 'cut') throw new Cut();
      await new Promise(() => undefined);
    }
    if (fault?.kind === 'flip' && fault.atByte >= begin && fault.atByte < position) {
      const bent = Buffer.from(chunk);
      bent.writeUInt8(bent.readUInt8(fault.atByte - begin) ^ 1, fault.atByte - begin);
      yield bent;
      return;
    }
    if (fault?.kind === 'throttle') await delay((chunk.length / fault.bytesPerSecond) * 1000);
    if (chunk.length > 0) yield chunk;
  };
}
