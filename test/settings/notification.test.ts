import { expect } from 'chai';
import {
  matchesNotification,
  parseNotification,
  type ArtifactEvent,
} from '../../modules/registry/src/settings/notification.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { repository, tag } from '../helpers/names.ts';

const digest = digestOf(Buffer.from('a manifest'));
const plant = repository('plant/hello');
const events = {
  tagged: { action: 'push', repository: plant, tag: tag('1.0'), digest },
  untagged: { action: 'push', repository: plant, digest },
  deleted: { action: 'delete', repository: plant, digest },
  tagGone: { action: 'delete', repository: plant, tag: tag('1.0') },
  elsewhere: { action: 'push', repository: repository('office'), tag: tag('1.0'), digest },
} as const satisfies Record<string, ArtifactEvent>;

describe('matchesNotification()', () => {
  for (const [text, ...expected] of [
    ['*:*', 'tagged', 'untagged', 'deleted', 'tagGone', 'elsewhere'],
    ['*:*:*', 'tagged', 'deleted', 'tagGone', 'elsewhere'],
    ['*@*:*', 'tagged', 'untagged', 'deleted', 'elsewhere'],
    ['plant/hello:*', 'tagged', 'untagged', 'deleted', 'tagGone'],
    ['plant/*:push', 'tagged', 'untagged'],
    ['plant/*:*:push', 'tagged'],
    ['plant/*:1.*:*', 'tagged', 'tagGone'],
    ['plant/*:2.*:*'],
    ['*:*:delete', 'deleted', 'tagGone'],
    [`plant/hello@${digest}:delete`, 'deleted'],
    [`*@${digest}:push`, 'tagged', 'untagged', 'elsewhere'],
    [`*@sha256:${'0'.repeat(64)}:*`],
    [`*:1.0@${digest}:*`, 'tagged', 'elsewhere'],
  ] as const) {
    it(`${text} asks for ${expected.join(', ') || 'none of these'}`, () => {
      const filter = parseNotification(text);
      if (!filter) throw new Error('this is no pattern');
      const matched = Object.entries(events).filter(([, event]) => matchesNotification(filter, event));
      expect(matched.map(([name]) => name)).to.deep.equal(expected);
    });
  }
});
