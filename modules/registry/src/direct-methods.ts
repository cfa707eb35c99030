import type { GarbageCollection } from './garbage-collection.ts';
import { sentenceOf, type Integrity } from './integrity.ts';
import { createCheck } from './settings/schema-problems.ts';
import { flag, group, text, wholeNumber, type Schema } from './settings/schema-words.ts';
import type { Problem } from './settings/settings.ts';
import type { Clock } from './status/clock.ts';
import type { Steering } from './steering.ts';
import type { Verification } from './store/verification.ts';
import type { SyncEngine } from './sync/sync-engine.ts';
import type { Json, JsonObject, MethodResult, Twin } from './twin/twin.ts';

interface Payloads {
  readonly collectGarbage: { readonly dryRun: boolean };
  readonly deactivate: { readonly instanceId?: string };
  readonly resync: { readonly dryRun: boolean; readonly confirmRemoval: boolean; readonly timeoutSeconds: number };
  readonly status: object;
  readonly verify: { readonly deep: boolean; readonly repair: boolean };
}

/** What an operator may call, and with what; no payload is an empty one. */
export const directMethods = {
  collectGarbage: group({ dryRun: flag('only counts', { default: false }) }),
  deactivate: group({ instanceId: text('only if this instance is meant') }),
  resync: group({
    dryRun: flag('only tells what would be done', { default: false }),
    confirmRemoval: flag('removes what is gone from the parent, however much it is', { default: false }),
    timeoutSeconds: wholeNumber('of a dry run, which then answers with what it knows by then', 5, {
      maximum: 280,
      default: 25,
    }),
  }),
  status: group({}),
  verify: group({
    deep: flag('reads all content, too', { default: true }),
    repair: flag('mends what it finds', { default: false }),
  }),
} as const satisfies Record<keyof Payloads, Schema>;

export interface DirectMethodsOptions {
  readonly twin: Pick<Twin, 'onMethod'>;
  readonly instanceId: string;
  readonly sync: Pick<SyncEngine, 'preview' | 'resync'>;
  readonly garbage: Pick<GarbageCollection, 'collectNow'>;
  readonly integrity: Pick<Integrity, 'verify' | 'progress'>;
  readonly clock: Pick<Clock, 'wait'>;
  readonly steering: Pick<Steering, 'course' | 'deactivate'>;
  readonly report: () => JsonObject;
}

/** Answers direct methods: 200 done, 202 begun, 400 with the problems of the payload, 409 not now and why. */
export function answerDirectMethods(options: DirectMethodsOptions): void {
  const { twin, instanceId, sync, garbage, integrity, clock, steering, report } = options;

  on('status', () => Promise.resolve(done(report())));

  on('resync', async ({ dryRun, confirmRemoval, timeoutSeconds }) => {
    if (dryRun) {
      const preview = await sync.preview({ timeoutMs: timeoutSeconds * 1000 });
      return preview
        ? done({ ...preview })
        : notNow('there is no parent, nothing may be synced now, or a dry run is running');
    }
    const { started } = await sync.resync({ confirmRemoval });
    return started ? { status: 202, payload: { started } } : notNow('a pass is running, or nothing may be synced now');
  });

  on('collectGarbage', async ({ dryRun }) => {
    const collected = await garbage.collectNow({ dryRun });
    return collected ? done({ ...collected, dryRun }) : notNow('a garbage collection is running');
  });

  on('verify', async (asked) => {
    const running = integrity.verify(asked);
    const seen = running && (await endOf(running, clock));
    return seen ? done(answerOf(seen)) : { status: 202, payload: { progress: { ...integrity.progress } } };
  });

  on('deactivate', async ({ instanceId: meant = instanceId }) => {
    if (meant !== instanceId) return notNow(`this is instance ${instanceId}`);
    const { holder } = steering.course.activation;
    return (await steering.deactivate())
      ? done({ status: 'Inactive', instanceId })
      : notNow('another instance is active under this name', holder);
  });

  function on<Name extends keyof Payloads>(
    name: Name,
    answer: (payload: Payloads[Name]) => Promise<MethodResult>,
  ): void {
    const check = createCheck<Payloads[Name]>(directMethods[name]);
    twin.onMethod(name, async (payload) => {
      const checked = check(structuredClone(payload) ?? {});
      return checked.ok ? answer(checked.document) : refused(checked.problems);
    });
  }
}

/** The caller of a direct method waits half a minute. */
const patienceMs = 20_000;
/** An answer holds 8 KB. */
const toldFindings = 10;

/** What it resolves with; undefined when it takes longer than the caller should wait. */
async function endOf<T>(running: Promise<T>, clock: Pick<Clock, 'wait'>): Promise<T | undefined> {
  const ended = new AbortController();
  const waited = clock.wait(patienceMs, ended.signal).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([running, waited]);
  } finally {
    ended.abort();
  }
}

function answerOf({ first, ...counts }: Verification): JsonObject {
  return { ...counts, first: first.slice(0, toldFindings).map(sentenceOf) };
}

function done(payload: JsonObject): MethodResult {
  return { status: 200, payload };
}

function notNow(message: string, holder?: Json): MethodResult {
  return { status: 409, payload: { message, ...(holder !== undefined && { holder }) } };
}

function refused(problems: readonly Problem[]): MethodResult {
  const [first] = problems;
  const message = `the payload is refused: ${first?.path ?? ''} ${first?.message ?? ''}`;
  return { status: 400, payload: { message, problems: problems.map(({ path, message }) => ({ path, message })) } };
}
