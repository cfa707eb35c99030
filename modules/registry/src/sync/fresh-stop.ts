import { setMaxListeners } from 'node:events';

/** Everything under way listens to it, however much that is. */
export function freshStop(): AbortController {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  return stop;
}
