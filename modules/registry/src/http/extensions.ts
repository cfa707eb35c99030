import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';

/** Extension discovery (distribution-spec, extensions/_oci.md), for the registry or one repository: there are none. */
export function listExtensions({ response }: Exchange): void {
  answerJson(response, 200, { extensions: [] });
}
