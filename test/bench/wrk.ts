import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../helpers/program.ts';

export interface Throughput {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
}

const units: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** Debian's wrk for `seconds`, going through `paths` in turn. Throws when an answer is not 2xx or 3xx. */
export async function load(options: {
  readonly directory: string;
  readonly url: string;
  readonly paths: readonly string[];
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
}): Promise<Throughput> {
  const { directory, url, paths, method = 'GET', headers = {}, connections, seconds } = options;
  if (method === 'HEAD') return loadWithoutBodies(options);
  const script = join(directory, 'wrk.lua');
  const table = (values: readonly string[]): string => values.map((value) => JSON.stringify(value)).join(', ');
  const lua = `
${Object.entries(headers)
  .map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  .join('\n')}
local paths = { ${table(paths)} }
local n = 0
request = function()
  n = n + 1
  return wrk.format(nil, paths[(n - 1) % #paths + 1])
end
`;
  await writeFile(script, lua);
  const threads = String(Math.min(2, connections));
  const text = await run(
    'wrk',
    '-t',
    threads,
    '-c',
    String(connections),
    '-d',
    `${seconds}s`,
    '-s',
    script,
    '--timeout',
    '30s',
    url,
  );
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1];
  if (bad !== undefined) throw new Error(`${bad} bad answers from ${url}${paths[0] ?? ''}`);
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(text);
  const transfer = /Transfer\/sec:\s+([\d.]+)([KMG]?B)/.exec(text);
  return {
    requestsPerSecond: Number(rate?.[1]),
    bytesPerSecond: Number(transfer?.[1]) * (units[transfer?.[2] ?? ''] ?? NaN),
  };
}

/** wrk waits for the body that a HEAD answer announces; ab does not. */
async function loadWithoutBodies(options: Parameters<typeof load>[0]): Promise<Throughput> {
  const { url, paths, headers = {}, connections, seconds } = options;
  const lines = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const limits = ['-t', String(seconds), '-n', '1000000', '-c', String(connections)];
  const text = await run('ab', '-q', '-k', '-i', ...limits, ...lines, `${url}${paths[0] ?? '/'}`);
  if (/Non-2xx responses/.test(text)) throw new Error(`bad answers from ${url}`);
  return { requestsPerSecond: Number(/Requests per second:\s+([\d.]+)/.exec(text)?.[1]), bytesPerSecond: NaN };
}
