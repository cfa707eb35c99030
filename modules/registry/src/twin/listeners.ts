import type { Log } from '../status/log.ts';
import { messageOf } from './twin-error.ts';

/** Who wants to hear of something. A listener that throws is logged and keeps nobody else from hearing. */
export interface Listeners<T> {
  readonly add: (listener: (news: T) => void) => void;
  readonly tell: (news: T) => void;
}

export function createListeners<T>(log: Log): Listeners<T> {
  const listeners: ((news: T) => void)[] = [];
  return {
    add: (listener) => void listeners.push(listener),
    tell(news) {
      for (const listener of listeners) {
        try {
          listener(news);
        } catch (error) {
          log.error('a listener of the twin failed', { error: messageOf(error) });
        }
      }
    },
  };
}
