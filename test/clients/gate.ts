import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A plain TCP forwarder that can stop half-way through what the server sends. */
export interface Gate {
  readonly port: number;
  /** From now on holds back what comes after so many bytes of the server; resolves once they have passed. */
  holdAfter(bytes: number): Promise<void>;
  /** Ends every connection, lets new ones through. */
  cut(): void;
  close(): Promise<void>;
}

export async function openGate(targetPort: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let room = Infinity;
  let reached: (() => void) | undefined;

  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      room -= chunk.length;
      if (room < 0) {
        upstream.pause();
        reached?.();
      } else if (!client.write(chunk)) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    holdAfter(bytes) {
      room = bytes;
      return new Promise((resolve) => (reached = resolve));
    },
    cut() {
      room = Infinity;
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
