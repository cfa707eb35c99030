import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../helpers/program.ts';
import { benchRepository, blobPath, type Contender } from './contenders.ts';

export interface WrkPushes {
  readonly directory: string;
  /** What all blobs of a round have in common: all but their last bytes. */
  readonly shared: Buffer;
  /** Two runs with one name push the same blobs in the same order; no other run pushes any of them. */
  readonly round: string;
  /** So many are made ready. */
  readonly blobs: number;
  readonly connections: number;
  readonly seconds: number;
}

/** Unique, and at the end: what is hashed for each blob is only that. */
const tailBytes = 32;
/** So many of the acknowledged ones are looked for afterwards. */
const samples = 50;

/**
 * New blobs, pushed by Debian's wrk on one thread: POST, then PUT to where its answer says, as many at a time as there
 * are connections. Returns the acknowledged ones a second.
 * Throws when any answer is not the 202 or 201 it has to be, when the blobs run out, and when one that was acknowledged
 * is not there afterwards.
 */
export async function pushByWrk(contender: Contender, pushes: WrkPushes): Promise<number> {
  const { directory, shared, round, blobs, connections, seconds } = pushes;
  const list = join(directory, 'blobs.txt');
  const body = join(directory, 'shared');
  const script = join(directory, 'push.lua');
  const sharedBytes = shared.subarray(0, shared.length - tailBytes);
  const hash = createHash('sha256').update(sharedBytes);
  const lines = Array.from({ length: blobs }, (_, number) => {
    const tail = createHash('sha256').update(`${round} ${number}`).digest('hex').slice(0, tailBytes);
    return `${tail} sha256:${hash.copy().update(tail).digest('hex')}\n`;
  });
  await writeFile(list, lines.join(''));
  await writeFile(body, sharedBytes);
  await writeFile(script, scriptOf(contender, { list, body, sizeBytes: shared.length }));
  const told = await run(
    'wrk',
    ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script, '--timeout', '30s', contender.url],
  );
  const [, pushed, microseconds, bad = '', sample = ''] = /^pushed (\d+) in (\d+)( .*)?: (.*)$/m.exec(told) ?? [];
  if (bad !== '' || Number(pushed) === 0 || sample === '') throw new Error(`pushes to ${contender.name}: ${told}`);
  for (const digest of sample.split(' ')) {
    const { headers } = contender;
    const answer = await fetch(`${contender.url}${blobPath(digest)}`, { method: 'HEAD', headers });
    if (answer.status !== 200 || Number(answer.headers.get('content-length')) !== shared.length) {
      throw new Error(`${contender.name} acknowledged ${digest}, and has it not: ${answer.status}`);
    }
  }
  return Number(pushed) / (Number(microseconds) / 1e6);
}

/** Requests are put together by hand: `wrk.format` costs as much as the server. docker-registry's Location is a whole URL. */
function scriptOf(
  { url, headers }: Contender,
  { list, body, sizeBytes }: { readonly list: string; readonly body: string; readonly sizeBytes: number },
): string {
  const lines = Object.entries({ host: new URL(url).host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `
local head = ${JSON.stringify(` HTTP/1.1\r\n${lines.join('')}`)}
local start = 'POST /v2/${benchRepository}/blobs/uploads/' .. head .. 'content-length: 0\\r\\n\\r\\n'
local finish = head .. 'content-type: application/octet-stream\\r\\ncontent-length: ${sizeBytes}\\r\\n\\r\\n'
local shared = io.open('${body}', 'rb'):read('*a')
local tails, digests, locations = {}, {}, {}
local used = 0
pushed, bad, sample = 0, '', ''

function init()
  for line in io.lines('${list}') do
    local tail, digest = line:match('^(%S+) (%S+)$')
    tails[#tails + 1], digests[#digests + 1] = tail, digest
  end
end

function request()
  local location = table.remove(locations)
  if not location then return start end
  used = used + 1
  if used > #tails then
    bad, used = ' the blobs ran out', 1
  end
  local mark = location:find('?', 1, true) and '&' or '?'
  return table.concat({ 'PUT ', location, mark, 'digest=', digests[used], finish, shared, tails[used] })
end

function response(status, headers)
  if status == 202 then
    locations[#locations + 1] = headers['Location']:gsub('^https?://[^/]+', '')
  elseif status == 201 then
    pushed = pushed + 1
    if pushed % 20 == 1 and pushed <= ${20 * samples} then
      sample = sample .. headers['Docker-Content-Digest'] .. ' '
    end
  else
    bad = ' an answer was ' .. status
  end
end

local threads = {}
function setup(thread) threads[1] = thread end
function done(summary)
  local errors = summary.errors
  local thread = threads[1]
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  local bad = thread:get('bad') .. (failed > 0 and ' failed connections' or '')
  local sample = thread:get('sample'):gsub(' $', '')
  print('pushed ' .. thread:get('pushed') .. ' in ' .. summary.duration .. bad .. ': ' .. sample)
end
`;
}
