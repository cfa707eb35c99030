import type { Log } from '../status/log.ts';
import { messageOf } from './twin-error.ts';
import type { Json, MethodResult } from './twin.ts';

export type MethodHandler = (payload: Json) => Promise<MethodResult>;

/** Direct methods by name. Calling never rejects: whatever happens becomes an answer. */
export interface Methods {
  set(name: string, handler: MethodHandler): void;
  names(): Iterable<string>;
  call(name: string, payload: Json): Promise<MethodResult>;
}

export function createMethods(log: Log): Methods {
  const handlers = new Map<string, MethodHandler>();
  return {
    set: (name, handler) => void handlers.set(name, handler),
    names: () => handlers.keys(),

    async call(name, payload) {
      const handler = handlers.get(name);
      if (!handler) return { status: 404, payload: { message: `there is no method ${name}` } };
      try {
        return await handler(payload);
      } catch (error) {
        log.error('direct method failed', { method: name, error: messageOf(error) });
        return { status: 500, payload: { message: `method ${name} failed` } };
      }
    },
  };
}
