import type { Clock } from '../status/clock.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Index, Tables } from './layout.ts';
import type { Turns } from './turns.ts';
import { createTally, type Tally, type Verification, type VerifyStore } from './verification.ts';
import { adoptFiles, verifyBlobs } from './verify-blobs.ts';
import { verifyImages } from './verify-images.ts';
import { verifyReadable } from './verify-rows.ts';

export interface VerifierOptions {
  readonly directory: string;
  readonly index: Index;
  readonly tables: Tables;
  readonly commit: GroupCommit;
  readonly clock: Clock;
  readonly places: Turns;
}

/** What the parts of one verification share. */
export interface VerifyPass extends VerifierOptions, Pick<VerifyStore, 'signal' | 'deep' | 'repair'> {
  readonly tally: Tally;
}

/**
 * Compares everything that is stored with everything else: files with their rows, content with its digest, rows with
 * each other. It reads page by page beside all other work; what looks wrong is looked at again where no writer can
 * come in between, so that work going on is never taken for damage.
 */
export async function verifyStore(options: VerifierOptions, asked: VerifyStore): Promise<Verification> {
  const { signal, deep, repair } = asked;
  const tally = createTally(asked, options.commit.totals);
  const pass = { ...options, signal, deep, repair, tally };
  await verifyReadable(pass);
  await verifyBlobs(pass);
  await adoptFiles(pass);
  await verifyImages(pass);
  tally.move();
  return tally.result();
}
