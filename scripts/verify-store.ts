import type { VerificationProgress } from '../modules/registry/src/store/verification.ts';
import { verifyArguments, verifyData, verifyUsage } from './verify-data.ts';

const redrawMs = 200;

/** Ends with 0: all well, 1: damage found, 2: could not run. Findings to stdout, progress to a terminal's stderr. */
async function main(): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('stopped')));
  try {
    const findings = await verifyData({
      ...verifyArguments(process.argv.slice(2)),
      signal: stop.signal,
      say: (line) => console.log(line),
      onProgress: progressLine(),
    });
    process.exitCode = findings > 0 ? 1 : 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(`Usage: ${verifyUsage}`);
    process.exitCode = 2;
  }
}

function progressLine(): (progress: VerificationProgress) => void {
  let drawnMs = 0;
  return ({ blobs, blobsTotal, bytes, bytesTotal, findings }) => {
    const nowMs = performance.now();
    if (!process.stderr.isTTY || nowMs - drawnMs < redrawMs) return;
    drawnMs = nowMs;
    const percent = bytesTotal === 0 ? 100 : Math.min(100, Math.floor((100 * bytes) / bytesTotal));
    process.stderr.write(`\r\u001b[K${percent} %  blob ${blobs} of ${blobsTotal}, ${findings} found`);
    if (blobs >= blobsTotal) process.stderr.write('\r\u001b[K');
  };
}

await main();
