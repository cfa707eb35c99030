import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../helpers/program.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { benchRepository, pushContent, pushSmallImage, startOurs, startPeer, type Contender } from './contenders.ts';
import { pushLoad, type PushLoad } from './push.ts';
import { load } from './wrk.ts';

/**
 * Our build and Debian's docker-registry under the same load in the same run: rounds are interleaved, the order
 * alternates, and each ratio is the median over the rounds. These machines are shared: ratios mean something,
 * rates alone do not.
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
});
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);

interface Work {
  readonly name: string;
  readonly unit: 'MB/s' | '/s';
  readonly goal: number;
  readonly measure: (contender: Contender) => Promise<number>;
}

const MiB = 1024 * 1024;
const directory = await temporaryDirectory();
const contenders: Contender[] = [];
try {
  for (const name of ['ours', 'peer']) await mkdir(join(directory, name));
  contenders.push(await startOurs(join(directory, 'ours')), await startPeer(join(directory, 'peer')));
  const works = (await prepare()).filter(({ name }) => name.includes(flags.only));
  console.log(
    `${cpus()[0]?.model ?? ''}, ${cpus().length} cores, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`,
  );
  console.log(`${rounds} rounds; peer: ${(await run('docker-registry', '--version')).trim()}\n`);
  console.log('| work | ours | docker-registry | ratio | goal |');
  console.log('| --- | --- | --- | --- | --- |');
  for (const work of works) console.log(await row(work));
  for (const { name, program } of contenders)
    console.log(`\nresident after all that: ${name} ${await residentMb(program.process.pid)} MB`);
} finally {
  await Promise.all(contenders.map(({ program }) => program.stop()));
  await rm(directory, { recursive: true, force: true });
}

async function prepare(): Promise<Work[]> {
  const big = randomBytes(64 * MiB);
  const middle = randomBytes(MiB);
  const small = randomBytes(1024);
  const blobs = { big: '', middle: '', small: '' };
  let layers: string[] = [];
  for (const contender of contenders) {
    blobs.big = await pushContent(contender, big);
    blobs.middle = await pushContent(contender, middle);
    blobs.small = await pushContent(contender, small);
    const manifest = await pushSmallImage(contender);
    const { config, layers: parts } = JSON.parse(manifest.bytes.toString()) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    layers = [config, ...parts].map(({ digest }) => digest);
  }
  const blobPath = (digest: string): string => `/v2/${benchRepository}/blobs/${digest}`;
  const manifestPath = `/v2/${benchRepository}/manifests/latest`;
  const get =
    (paths: readonly string[], connections: number, method: 'GET' | 'HEAD' = 'GET') =>
    (contender: Contender) =>
      load({
        directory,
        url: contender.url,
        paths,
        method,
        connections,
        seconds,
        headers: {
          accept: 'application/vnd.oci.image.manifest.v1+json',
          ...contender.headers,
        },
      });
  const bytes = (paths: readonly string[], connections: number) => async (contender: Contender) =>
    (await get(paths, connections)(contender)).bytesPerSecond / 1e6;
  const requests = (paths: readonly string[], connections: number, method?: 'HEAD') => async (contender: Contender) =>
    (await get(paths, connections, method)(contender)).requestsPerSecond;
  const push = (work: PushLoad) => async (contender: Contender) => (await pushLoad(contender, work)) / 1e6;
  const pushes = (work: PushLoad) => async (contender: Contender) => (await pushLoad(contender, work)) / work.sizeBytes;

  return [
    { name: 'blob GET 64 MiB, 1 client', unit: 'MB/s', goal: 1.2, measure: bytes([blobPath(blobs.big)], 1) },
    { name: 'blob GET 64 MiB, 8 clients', unit: 'MB/s', goal: 1.4, measure: bytes([blobPath(blobs.big)], 8) },
    { name: 'blob GET 1 MiB, 8 clients', unit: 'MB/s', goal: 4, measure: bytes([blobPath(blobs.middle)], 8) },
    { name: 'blob GET 1 KB, 8 clients', unit: '/s', goal: 40, measure: requests([blobPath(blobs.small)], 8) },
    { name: 'manifest GET by tag, 32 connections', unit: '/s', goal: 25, measure: requests([manifestPath], 32) },
    {
      name: 'manifest HEAD by tag, 32 connections',
      unit: '/s',
      goal: 20,
      measure: requests([manifestPath], 32, 'HEAD'),
    },
    {
      name: 'small image pull, requests, 32 clients',
      unit: '/s',
      goal: 10,
      measure: requests([manifestPath, ...layers.map(blobPath)], 32),
    },
    { name: 'push 64 MiB', unit: 'MB/s', goal: 2, measure: push({ sizeBytes: 64 * MiB, count: 4, concurrency: 1 }) },
    {
      name: 'push 64 MiB in chunks of 8 MiB',
      unit: 'MB/s',
      goal: 2.2,
      measure: push({ sizeBytes: 64 * MiB, count: 4, concurrency: 1, chunkBytes: 8 * MiB }),
    },
    {
      name: 'push 64 MiB, 4 at once',
      unit: 'MB/s',
      goal: 1.4,
      measure: push({ sizeBytes: 64 * MiB, count: 8, concurrency: 4 }),
    },
    {
      name: 'push 1 MiB, 8 at once',
      unit: '/s',
      goal: 2.5,
      measure: pushes({ sizeBytes: MiB, count: 200, concurrency: 8 }),
    },
    {
      name: 'push 1 KB, 32 at once',
      unit: '/s',
      goal: 20,
      measure: pushes({ sizeBytes: 1024, count: 1000, concurrency: 32 }),
    },
  ];
}

async function row({ name, unit, goal, measure }: Work): Promise<string> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : [...contenders].reverse()) {
      (contender.name === 'ours' ? ours : theirs).push(await measure(contender));
    }
  }
  const ratio = median(ours.map((value, index) => value / (theirs[index] ?? NaN)));
  const show = (values: readonly number[]): string => `${Math.round(median(values)).toLocaleString('en')} ${unit}`;
  return `| ${name} | ${show(ours)} | ${show(theirs)} | ${ratio.toFixed(2)}× | ${goal}× |`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function residentMb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
}
