import { CannotRun, sides, type Side, type Work } from './work.ts';

export const heading = `| work | ${sides.join(' | ')} | ratio | goal | met |\n| ${'--- | '.repeat(sides.length + 4).trim()}`;

/** Interleaved rounds in alternating order; what a side cannot do is said in its cell. */
export async function row(work: Work, rounds: number): Promise<string> {
  const figures = new Map<Side, number[]>();
  const failures = new Map<Side, string>();
  const taking = sides.filter((side) => work.measure[side]);
  for (let round = 0; round < (work.rounds ?? rounds); round += 1) {
    for (const side of round % 2 === 0 ? taking : [...taking].reverse()) {
      if (failures.has(side)) continue;
      try {
        const value = (await work.measure[side]?.()) ?? NaN;
        figures.set(side, [...(figures.get(side) ?? []), value]);
      } catch (error) {
        failures.set(side, told(error));
      }
    }
  }
  const cells = sides.map((side) => failures.get(side) ?? figureOf(figures.get(side), work.unit));
  const ours = figures.get('ours') ?? [];
  const ratioTo = (side: Side): number | undefined => {
    const theirs = figures.get(side);
    return theirs && !failures.has('ours')
      ? median(ours.map((value, index) => value / (theirs[index] ?? NaN)))
      : undefined;
  };
  const [toPeer, toNginx, toSkopeo] = [ratioTo('docker-registry'), ratioTo('nginx'), ratioTo('skopeo')];
  const ratio = [toPeer && times(toPeer), toNginx && `nginx ${times(toNginx)}`, toSkopeo && `skopeo ${times(toSkopeo)}`]
    .filter(Boolean)
    .join('; ');
  return `| ${[work.name, ...cells, ratio, ...verdict(work, median(ours), toPeer, toNginx, toSkopeo)].join(' | ')} |`;
}

/** The goal in words, and whether it was reached. */
function verdict({ goal, unit }: Work, ours: number, toPeer = NaN, toNginx = NaN, toSkopeo = NaN): [string, string] {
  const parts: [string, boolean][] = [];
  const { timesDockerRegistry, timesNginx, timesSkopeo, atLeast, atMost, finishes } = goal;
  if (timesDockerRegistry !== undefined) parts.push([`≥ ${timesDockerRegistry}×`, toPeer >= timesDockerRegistry]);
  if (timesNginx !== undefined) parts.push([`nginx ≥ ${timesNginx}×`, toNginx >= timesNginx]);
  if (timesSkopeo !== undefined) parts.push([`skopeo ≥ ${timesSkopeo}×`, toSkopeo >= timesSkopeo]);
  if (atLeast !== undefined) parts.push([`≥ ${atLeast} ${unit}`, ours >= atLeast]);
  if (atMost !== undefined) parts.push([`≤ ${atMost} ${unit}`, ours <= atMost]);
  if (finishes) parts.push(['finishes', ours > 0]);
  return [
    parts.map(([text]) => text).join('; '),
    parts.length === 0 ? '' : parts.every(([, met]) => met) ? 'yes' : 'no',
  ];
}

function figureOf(values: readonly number[] | undefined, unit: string): string {
  if (!values) return '';
  return `${median(values).toLocaleString('en', { maximumSignificantDigits: 3 })} ${unit}`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`;
}

function told(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (!(error instanceof CannotRun)) console.error(error);
  const [first = ''] = text.split('\n');
  return `${error instanceof CannotRun ? 'cannot run' : 'failed'}: ${first.replaceAll('|', '/')}`;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
