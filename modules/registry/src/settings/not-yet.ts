import { entriesOf, property, root, type Entry } from './entries.ts';
import type { Problem } from './settings.ts';

interface NotYet {
  readonly path: string;
  /** Whether the operator asked for it. */
  asked(document: Entry): boolean;
  readonly message: string;
}

/** Settings that are accepted but have no effect in this version. Delete a row when its feature arrives. */
const notYet: readonly NotYet[] = [
  {
    path: '/onDemand',
    asked: (document) => property(document, 'onDemand').value === true,
    message: 'content that is missing is not fetched on demand in this version',
  },
  {
    path: '/transfer/budgets',
    asked: (document) => entriesOf(property(document, 'transfer'), 'budgets').length > 0,
    message: 'rates by time of day have no effect in this version; bytesPerSecond holds all day',
  },
];

/** What `document` asks for in vain. Give it the document as written, without defaults. */
export function notYetWarnings(document: unknown): Problem[] {
  return notYet.filter((row) => row.asked(root(document))).map(({ path, message }) => ({ path, message }));
}
