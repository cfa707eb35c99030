import { readFile, writeFile } from 'node:fs/promises';
import type { Program } from '../helpers/program.ts';

/** Resident memory of the process at this moment, in MB of 2^20 bytes (proc(5), `VmRSS`). */
export function residentMb(program: Program): Promise<number> {
  return statusMb(program, 'VmRSS');
}

/** The most that was resident while `work` ran. */
export async function peakMb(program: Program, work: () => Promise<unknown>): Promise<number> {
  await writeFile(`/proc/${String(program.process.pid)}/clear_refs`, '5'); // proc(5): resets the peak
  await work();
  return statusMb(program, 'VmHWM');
}

async function statusMb({ process }: Program, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${String(process.pid)}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
}
