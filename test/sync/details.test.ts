import { expect } from 'chai';
import { connectionStateOf } from '../../modules/registry/src/sync/connection-state.ts';
import { createDetails } from '../../modules/registry/src/sync/details.ts';
import { ManualClock } from '../helpers/manual-clock.ts';

describe('createDetails()', () => {
  const codes = (details: ReturnType<typeof createDetails>): string[] => details.list().map(({ code }) => code);

  it('keeps a condition with its first timestamp, while it holds', async () => {
    const clock = new ManualClock();
    const details = createDetails({ clock });
    details.beginPass('1');
    details.report('REPOSITORY_FAILED', 'a', 'no');
    const [first] = details.list();
    await clock.advance(5000);
    details.beginPass('2');
    details.report('REPOSITORY_FAILED', 'a', 'no');
    details.endPass({ eventTtlMs: 1000, saw: 'everything' });
    expect(details.list()).to.deep.equal([first]);
    details.beginPass('3');
    details.endPass({ eventTtlMs: 1000, saw: 'nothing' });
    expect(codes(details)).to.deep.equal(['REPOSITORY_FAILED']);
    details.endPass({ eventTtlMs: 1000, saw: 'everything' });
    expect(codes(details)).to.deep.equal([]);
  });

  it('keeps an event for its time', async () => {
    const clock = new ManualClock();
    const details = createDetails({ clock });
    details.beginPass('1');
    details.report('TAG_CONFLICT', 'a:v1', 'two');
    details.beginPass('2');
    await clock.advance(1000);
    details.endPass({ eventTtlMs: 1000, saw: 'everything' });
    expect(codes(details)).to.deep.equal(['TAG_CONFLICT']);
    await clock.advance(1);
    details.endPass({ eventTtlMs: 1000, saw: 'everything' });
    expect(codes(details)).to.deep.equal([]);
  });

  it('forgets trouble with the link only, once the parent answers', () => {
    const details = createDetails({ clock: new ManualClock() });
    details.report('PARENT_UNREACHABLE', '', 'no route');
    details.report('PARENT_DENIED', 'plant/a', 'no');
    details.report('DISK_FULL', '', 'full');
    details.clearLink();
    expect(codes(details)).to.deep.equal(['PARENT_DENIED', 'DISK_FULL']);
  });
});

describe('connectionStateOf()', () => {
  const usual = { hasParent: true, active: true, contacted: true, syncing: false, details: [] };
  const rows = [
    ['Online', {}],
    ['Syncing', { syncing: true, details: [{ code: 'DISK_FULL' }] }],
    ['Offline', { contacted: false }],
    ['Offline', { active: false, syncing: true }],
    ['Online', { hasParent: false, contacted: false }],
    ['Offline', { details: [{ code: 'PARENT_UNREACHABLE' }, { code: 'REPOSITORY_FAILED' }] }],
    ['Unhealthy', { details: [{ code: 'PARENT_UNAUTHORIZED' }] }],
    ['Unhealthy', { contacted: false, details: [{ code: 'DISK_FULL' }] }],
    ['Online', { details: [{ code: 'TAG_CONFLICT' }] }],
  ] as const;
  for (const [state, part] of rows) {
    it(`says ${state}, with ${JSON.stringify(part)}`, () => {
      expect(connectionStateOf({ ...usual, ...part })).to.equal(state);
    });
  }
});
