import { expect } from 'chai';
import { row } from './row.ts';
import { CannotRun } from './work.ts';

describe('row()', () => {
  it('takes ratios within a round, and their median over the rounds', async () => {
    const [ours, theirs] = [
      [30, 10, 50],
      [10, 10, 10],
    ];
    const measure = { ours: async () => ours.shift()!, 'docker-registry': async () => theirs.shift()! };
    const text = await row({ name: 'reads', unit: '/s', goal: { timesDockerRegistry: 3 }, measure }, 3);
    expect(text).to.equal('| reads | 30 /s | 10 /s |  |  | 3.00× | ≥ 3× | yes |');
  });

  it('misses a limit that is passed', async () => {
    const text = await row({ name: 'rest', unit: 'MB', goal: { atMost: 85 }, measure: { ours: async () => 86 } }, 1);
    expect(text).to.equal('| rest | 86 MB |  |  |  |  | ≤ 85 MB | no |');
  });

  it('says what cannot run here, and does not call it met', async () => {
    const measure = { ours: () => Promise.reject(new CannotRun('no memory cgroup')) };
    const text = await row({ name: 'in 160 MB', unit: 'MB/s', goal: { finishes: true }, measure }, 2);
    expect(text).to.equal('| in 160 MB | cannot run: no memory cgroup |  |  |  |  | finishes | no |');
  });
});
