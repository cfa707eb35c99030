import { entriesOf, root, type Entry } from './entries.ts';
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
    path: '/notificationsList',
    asked: (document) => entriesOf(document, 'notificationsList').length > 0,
    message: 'no notifications are sent in this version',
  },
];

/** What `document` asks for in vain. Give it the document as written, without defaults. */
export function notYetWarnings(document: unknown): Problem[] {
  return notYet.filter((row) => row.asked(root(document))).map(({ path, message }) => ({ path, message }));
}
