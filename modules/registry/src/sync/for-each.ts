/**
 * Runs `body` for each item, at most `concurrency` at a time, and reads no further ahead than that.
 * Ends when all have ended; throws the first error, after which no new item is begun.
 */
export async function forEach<T>(
  items: Iterable<T> | AsyncIterable<T>,
  concurrency: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const errors: unknown[] = [];
  try {
    for await (const item of items) {
      const task = body(item)
        .catch((error: unknown) => {
          errors.push(error);
        })
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size >= concurrency) await Promise.race(running);
      if (errors.length > 0) break;
    }
  } catch (error) {
    errors.push(error);
  }
  await Promise.all(running);
  if (errors.length > 0) throw errors[0];
}
