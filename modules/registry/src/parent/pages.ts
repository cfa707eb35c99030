import LinkHeader from 'http-link-header';
import { ParentError } from './parent.ts';
import { atParent } from './redirect.ts';
import type { Answer, Question, Sender } from './send.ts';

/**
 * The answers to `question` and to its `Link: rel="next"` after it, until there is none (RFC 8288).
 * A page that fails, or that leads back, throws: a listing is never silently short. 404 on the first page ends it.
 */
export async function* readPages(sender: Sender, question: Question): AsyncGenerator<Answer> {
  const seen = new Set<string>();
  let next: URL | undefined = new URL(question.to, sender.parent);
  while (next) {
    if (seen.has(next.href)) throw new ParentError('broken', `${next.host}${next.pathname} lists in a circle`);
    const understands = seen.size === 0 ? question.understands : [200];
    seen.add(next.href);
    const answer = await sender.ask({ ...question, to: next, understands });
    yield answer;
    next = nextPage(answer, next, sender.parent);
  }
}

/** The next page, always at the parent. Throws ParentError `broken` when the header makes no sense. */
export function nextPage({ headers }: Pick<Answer, 'headers'>, url: URL, parent: URL): URL | undefined {
  if (headers.link === undefined) return undefined;
  let uri: string | undefined;
  try {
    uri = LinkHeader.parse([headers.link].flat().join(', ')).rel('next')[0]?.uri;
  } catch (cause) {
    throw new ParentError('broken', `${url.host}${url.pathname} answers with a Link that cannot be read`, { cause });
  }
  if (uri === undefined) return undefined;
  const next = atParent(uri, url, parent);
  if (!next) throw new ParentError('broken', `${url.host}${url.pathname} names a next page that is not a URL`);
  return next;
}
