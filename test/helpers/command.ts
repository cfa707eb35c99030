import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly stdin?: string | Buffer;
  readonly cwd?: string;
  /** Added to PATH and HOME, which is all a command is given of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a command ended. */
export interface CommandResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  /** stdout, then stderr. */
  readonly output: string;
}

/** Runs a program to its end, where a failure is an answer too; rejects only when it cannot be started. */
export function tryCommand(
  program: string,
  args: readonly string[],
  { stdin, cwd, env }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      const said = Buffer.concat(stdout).toString();
      resolve({ code, stdout: said, output: said + Buffer.concat(stderr).toString() });
    });
    // A command that ends before it has read its input says why by itself.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
  });
}

/** Its trimmed stdout; throws with all it said unless it ends with 0. */
export async function command(program: string, args: readonly string[], options?: CommandOptions): Promise<string> {
  const { code, stdout, output } = await tryCommand(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${String(code)}:\n${output}`);
  return stdout.trim();
}
