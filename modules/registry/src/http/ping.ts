import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';

/** [end-1] Says that this is a registry, and that the credentials are good. */
export function ping({ response }: Exchange): void {
  answerJson(response, 200, {});
}
