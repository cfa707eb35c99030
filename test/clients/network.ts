import { run } from '../helpers/program.ts';

/** Two network namespaces and a cable between them. Needs root and `ip`. */
export interface Network {
  /** In front of a command: it runs there. */
  readonly above: readonly string[];
  readonly below: readonly string[];
  /** Of the namespace above, as it is seen from below. */
  readonly address: string;
  pull(): Promise<void>;
  plug(): Promise<void>;
  /** Drops this share of the packets on their way down; 0: none. */
  lose(percent: number): Promise<void>;
  /** Drops, without a word, packets larger than that (a path MTU that nobody tells of); undefined: none. */
  swallowLargerThan(bytes: number | undefined): Promise<void>;
  /** Packets dropped since the last rule was set. */
  dropped(): Promise<number>;
  /** Delays everything by that; false where this kernel has no netem. */
  delay(milliseconds: number): Promise<boolean>;
  close(): Promise<void>;
}

export async function openNetwork(): Promise<Network> {
  const [above, below] = [`cr-above-${process.pid}`, `cr-below-${process.pid}`];
  const [upper, lower] = [`cru${process.pid}`, `crl${process.pid}`];
  const address = '10.201.7.1';
  const within = (name: string, ...command: string[]): Promise<string> => run('ip', 'netns', 'exec', name, ...command);
  const rules = async (...expression: string[]): Promise<void> => {
    await within(below, 'nft', 'flush', 'ruleset');
    if (expression.length === 0) return;
    await within(below, 'nft', 'add', 'table', 'ip', 'faults');
    await within(below, 'nft', 'add chain ip faults arriving { type filter hook input priority 0; }');
    await within(below, 'nft', ['add rule ip faults arriving', ...expression, 'counter drop'].join(' '));
  };

  await run('ip', 'netns', 'add', above);
  await run('ip', 'netns', 'add', below);
  await run('ip', 'link', 'add', upper, 'netns', above, 'type', 'veth', 'peer', 'name', lower, 'netns', below);
  for (const [name, device, ip] of [
    [above, upper, address],
    [below, lower, '10.201.7.2'],
  ] as const) {
    await run('ip', '-n', name, 'address', 'add', `${ip}/24`, 'dev', device);
    await run('ip', '-n', name, 'link', 'set', device, 'up');
    await run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    // Packets no larger than the cable's MTU reach the rules.
    await within(
      name,
      'sh',
      '-c',
      `command -v ethtool >/dev/null && ethtool -K ${device} tso off gso off gro off; true`,
    );
  }
  return {
    above: ['ip', 'netns', 'exec', above],
    below: ['ip', 'netns', 'exec', below],
    address,
    async pull() {
      await run('ip', '-n', above, 'link', 'set', upper, 'down');
    },
    async plug() {
      await run('ip', '-n', above, 'link', 'set', upper, 'up');
    },
    lose: (percent) => (percent === 0 ? rules() : rules(`numgen random mod 100 < ${percent}`)),
    swallowLargerThan: (bytes) => (bytes === undefined ? rules() : rules(`ip length > ${bytes}`)),
    async dropped() {
      return Number(/packets (\d+)/.exec(await within(below, 'nft', 'list', 'ruleset'))?.[1] ?? 0);
    },
    async delay(milliseconds) {
      try {
        await run('tc', '-n', above, 'qdisc', 'add', 'dev', upper, 'root', 'netem', 'delay', `${milliseconds}ms`);
        return true;
      } catch {
        return false;
      }
    },
    async close() {
      await run('ip', 'netns', 'delete', above);
      await run('ip', 'netns', 'delete', below);
    },
  };
}
