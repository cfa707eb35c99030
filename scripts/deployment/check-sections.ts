import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import { checkTwinLimits } from '../../modules/registry/src/twin/twin-limits.ts';
import { contentsOf, entriesOf } from './manifest.ts';

const desired = 'properties.desired';

/**
 * What IoT Hub refuses in a twin: keys, sizes, depth, numbers (`twinLimits`). A place of a layered deployment counts
 * as deep as it will stand in the twin; the sum with other layers is not known here.
 */
export function checkSections(manifest: unknown): readonly Problem[] {
  return contentsOf(manifest).flatMap((content) =>
    entriesOf(content).flatMap(({ name, path, value }) => {
      const place = name === desired ? [] : name.slice(desired.length + 1).split('.');
      const section = place.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
      if (!isJsonObject(section)) return [];
      const before = place.map((key) => `/${key}`).join('');
      return checkTwinLimits(section).map((problem) => ({
        path: path + (problem.path.startsWith(before) ? problem.path.slice(before.length) : ''),
        message: problem.message,
      }));
    }),
  );
}
