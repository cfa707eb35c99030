import { expect } from 'chai';
import { garbagePolicy, nextCollection } from '../modules/registry/src/garbage-policy.ts';
import { parseSettings } from '../modules/registry/src/settings/parse-settings.ts';
import type { Settings } from '../modules/registry/src/settings/settings.ts';

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;
const now = new Date('2026-11-24T09:00:00Z');
const at = (text: string): Date => new Date(`2026-11-${text}Z`);

function settingsOf(document: object): Settings {
  const parsed = parseSettings(document);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

function policyOf(document: object, outboxPending = 0) {
  return garbagePolicy(settingsOf(document), { now, outboxPending });
}

const parent = (schedule: string) => ({
  gatewayEndpoint: 'parent.example',
  syncProperties: { schedule, syncWindow: 'PT1H' },
});

describe('garbagePolicy()', () => {
  it('keeps untagged manifests unless tags are only what the parent says', () => {
    expect(policyOf({ mode: 'ReadWrite' }).untagged).to.equal('keep');
    expect(policyOf({ mode: 'ReadOnly' }).untagged).to.deep.equal({ olderThanMs: dayMs });
    expect(policyOf({ mode: 'ReadOnly', onDemand: true }).untagged).to.equal('keep');
    expect(policyOf({ mode: 'ReadOnly' }, 1).untagged).to.equal('keep');
  });

  it('waits for what sync brings in more than one window', () => {
    const daily = policyOf({ mode: 'ReadOnly', parent: parent('0 22 * * *') });
    expect(daily).to.deep.equal({
      untagged: { olderThanMs: 2 * dayMs },
      blobsOlderThanMs: 2 * dayMs,
      uploadsOlderThanMs: 7 * dayMs,
    });
    const weekly = policyOf({ parent: parent('0 22 * * 6') });
    expect(weekly).to.deep.include({ blobsOlderThanMs: 8 * dayMs, uploadsOlderThanMs: 8 * dayMs });
  });
});

describe('nextCollection()', () => {
  const schedule = '0 5 * * *';

  it('is the next time of the schedule, UTC', () => {
    const times = { started: at('24T04:00:00'), last: at('23T05:00:00') };
    expect(nextCollection(schedule, { ...times, now: at('24T04:59:59') })).to.deep.equal(at('24T05:00:00'));
    const after = { ...times, last: at('24T05:00:00'), now: at('24T05:00:01') };
    expect(nextCollection(schedule, after)).to.deep.equal(at('25T05:00:00'));
  });

  it('is ten minutes after the start when a time was missed before it', () => {
    const times = { started: at('24T07:00:00'), last: at('23T05:00:00'), now: at('24T07:00:03') };
    expect(nextCollection(schedule, times)).to.deep.equal(at('24T07:10:00'));
    expect(nextCollection(schedule, { ...times, last: at('24T07:10:00'), now: at('24T07:10:01') })).to.deep.equal(
      at('25T05:00:00'),
    );
  });
});
