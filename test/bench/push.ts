import { createHash, randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { benchRepository, type Contender } from './contenders.ts';

export interface PushLoad {
  readonly sizeBytes: number;
  readonly count: number;
  readonly concurrency: number;
  /** Sent in PATCH requests of this size, then an empty PUT; absent: all in one PUT. */
  readonly chunkBytes?: number;
}

/** Pushes `count` new blobs and returns bytes per second, from the first request to the last 201. */
export async function pushLoad(contender: Contender, load: PushLoad): Promise<number> {
  const agent = new Agent({ connections: load.concurrency });
  const shared = randomBytes(load.sizeBytes);
  const blobs = Array.from({ length: load.count }, () => {
    // Unique in the first bytes: what has to be hashed and stored is as long, what has to be made ready is not.
    const head = randomBytes(Math.min(16, load.sizeBytes));
    const hash = createHash('sha256').update(head).update(shared.subarray(head.length)).digest('hex');
    return { head, digest: `sha256:${hash}` };
  });
  const { headers } = contender;
  const ask = async (
    method: 'POST' | 'PATCH' | 'PUT',
    url: URL,
    body: Buffer | null,
    expected: number,
  ): Promise<URL> => {
    const type = body ? { 'content-type': 'application/octet-stream' } : {};
    const answer = await request(url, { dispatcher: agent, method, headers: { ...headers, ...type }, body });
    const text = await answer.body.text();
    if (answer.statusCode !== expected) throw new Error(`${method} to ${contender.name}: ${answer.statusCode} ${text}`);
    return new URL(String(answer.headers.location), url);
  };
  let next = 0;
  const worker = async (bytes: Buffer): Promise<void> => {
    for (let blob = blobs[next++]; blob; blob = blobs[next++]) {
      blob.head.copy(bytes);
      let location = await ask('POST', new URL(`/v2/${benchRepository}/blobs/uploads/`, contender.url), null, 202);
      if (load.chunkBytes !== undefined) {
        for (let at = 0; at < bytes.length; at += load.chunkBytes) {
          location = await ask('PATCH', location, bytes.subarray(at, at + load.chunkBytes), 202);
        }
      }
      location.searchParams.set('digest', blob.digest);
      await ask('PUT', location, load.chunkBytes === undefined ? bytes : null, 201);
    }
  };
  // Fresh memory is slow the first time it is touched: that time is neither contender's.
  const buffers = Array.from({ length: load.concurrency }, () => Buffer.from(shared));
  await touchMemory(2 * load.count * load.sizeBytes);
  const began = performance.now();
  await Promise.all(buffers.map(worker));
  const seconds = (performance.now() - began) / 1000;
  await agent.close();
  return (load.count * load.sizeBytes) / seconds;
}

/**
 * In a virtual machine the first write to a page of memory waits for the host, which takes ten times what a write to
 * the page cache takes; whoever comes first would pay. A file written and removed leaves pages that are there.
 */
export async function touchMemory(sizeBytes: number): Promise<void> {
  const path = join(tmpdir(), `bench-touch-${process.pid}`);
  const piece = Buffer.alloc(4 * 1024 * 1024, 1);
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < sizeBytes; written += piece.length) await file.write(piece);
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
