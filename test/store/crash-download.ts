/** The same 20 MB for the writer and for the one who checks. */
export function downloadOf(round: string): Buffer {
  return Buffer.alloc(20_000_000, `the download of round ${round} `);
}
