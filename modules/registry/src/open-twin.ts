import { join } from 'node:path';
import type { Environment } from './settings/environment.ts';
import { parseJsonWithComments } from './settings/parse-json-with-comments.ts';
import type { Problem } from './settings/settings.ts';
import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import { createEdgeTwin } from './twin/edge-twin.ts';
import { createFileTwin } from './twin/file-twin.ts';
import type { Twin } from './twin/twin.ts';

/** The module twin inside IoT Edge; outside, a settings file (`<data volume>/settings.json` unless one is named). */
export function openTwin(options: {
  readonly environment: Environment;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  /** The settings file cannot be read as JSON. */
  readonly onProblem: (problem: Problem) => void;
}): Twin {
  const { environment, variables, clock, log, onProblem } = options;
  if (environment.iotEdge) return createEdgeTwin({ variables, clock, log });
  const twin = createFileTwin({
    settingsFile: environment.settingsFile ?? join(environment.dataVolume, 'settings.json'),
    mayBeMissing: environment.settingsFile === undefined,
    reportedFile: join(environment.dataVolume, 'reported.json'),
    clock,
    log,
    parse: parseJsonWithComments,
  });
  twin.onProblem(onProblem);
  return twin;
}
