/**
 * A registry below a parent, as a process to be killed: pulls `plant/down`, pushes images of its own to `plant/up`, and
 * says, a line each, what it does. Ends by itself when everything is in sync.
 * Arguments: data directory, host:port of the parent, round, number of images to push, bytes of their layers.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { engineBelow, settingsBelow } from './faulty-site.ts';

const [, , directory = '', host = '', round = '', images = '0', layerBytes = '150000'] = process.argv;
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);
const log = new RecordingLog();
const store = await openStore({ directory, clock: systemClock, log, carries: () => true });
let pushed = false;
const engine = engineBelow({
  ...{ store, clock: systemClock, log },
  patience: {},
  onStatus(status) {
    const { inSync, state, bytesDone, outbox } = status;
    say({ state, bytesDone, pending: outbox.pending });
    if (pushed && inSync) void end();
  },
});
engine.apply(settingsBelow(host, { transfer: { bytesPerSecond: 8_000_000 } }), { active: true });
const up = repository('plant/up');
for (let count = 0; count < Number(images); count += 1) {
  const image = sampleImage([randomBytes(Number(layerBytes)), `${round} ${count}`]);
  await pushImage(store.local, up, image, tag(`r${round}-${count}`));
  await store.local.putManifest(up, image.manifest, { tag: tag('latest') });
  say({ acknowledged: `r${round}-${count}`, digest: image.manifest.digest });
  engine.wake();
}
// Its status is told when the outbox has been counted.
pushed = true;
engine.wake();

async function end(): Promise<void> {
  await engine.close();
  await store.close();
  process.exit(0);
}
