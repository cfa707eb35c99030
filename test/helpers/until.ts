import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks `question` of something outside this process (a server that starts, another module) until it answers,
 * at most `limitMs`. Inside the process await the event instead.
 */
export async function until<T>(
  what: string,
  question: () => Promise<T | undefined | false>,
  limitMs = 30_000,
): Promise<T> {
  const end = Date.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not in ${limitMs} ms: ${what}`, { cause: last });
    await delay(50);
  }
}
