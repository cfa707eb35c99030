import { expect } from 'chai';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { startRegistry } from '../http/registry-server.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { describeImageRegistry } from './image-registry.ts';

async function openParent() {
  const registry = await startRegistry();
  const parent = connectParent({
    endpoint: registry.host,
    protocol: 'http',
    credentials: { name: 'admin', password: 'admin-password' },
    clock: systemClock,
    log: new RecordingLog(),
    // Asking again is not the question here, and would hide what the registry answers.
    patience: { attempts: 1 },
  });
  return {
    registry,
    parent,
    async close() {
      await parent.close();
      await registry.close();
    },
  };
}

describeImageRegistry('parent client to a connected registry', async () => {
  const opened = await openParent();
  return { source: opened.parent, target: opened.parent, close: () => opened.close() };
});

describe('connectParent() to a connected registry', () => {
  it('is told digests with the tags, and that there are no referrers', async () => {
    const opened = await openParent();
    try {
      const image = sampleImage(['layer']);
      await pushImage(opened.parent, repository('plant/hello'), image, tag('1.0'));
      const tags = [];
      for await (const entry of opened.parent.listTags(repository('plant/hello'))) tags.push(entry);
      expect(tags).to.deep.equal([{ tag: '1.0', digest: image.manifest.digest, hasReferrers: false }]);
    } finally {
      await opened.close();
    }
  });
});
