import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface ProgramOptions {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A child process whose output is kept and can be awaited; always ended by `stop` or `kill`. */
export class Program {
  readonly lines: string[] = [];
  readonly process: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<number | null>;
  readonly #watchers = new Set<(line: string) => void>();

  constructor(options: ProgramOptions) {
    this.#name = options.command;
    this.process = spawn(options.command, options.arguments, {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.environment },
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exited = new Promise((resolve) => {
      this.process.once('error', () => resolve(null));
      this.process.once('exit', (code) => resolve(code));
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
  }

  #take(line: string): void {
    this.lines.push(line);
    for (const watcher of this.#watchers) watcher(line);
  }

  get output(): string {
    return this.lines.join('\n');
  }

  /** The exit code; null when a signal ended it. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  /** The first line, said already or to come, that matches; rejects when the program ends without it. */
  async line(pattern: RegExp): Promise<string> {
    const said = this.lines.find((line) => pattern.test(line));
    if (said !== undefined) return said;
    let watcher: ((line: string) => void) | undefined;
    const heard = new Promise<string>((resolve) => {
      watcher = (line) => {
        if (pattern.test(line)) resolve(line);
      };
      this.#watchers.add(watcher);
    });
    const ended = this.#exited.then((code) => {
      throw new Error(`${this.#name} ended with ${String(code)} before it said ${String(pattern)}:\n${this.output}`);
    });
    try {
      return await Promise.race([heard, ended]);
    } finally {
      if (watcher) this.#watchers.delete(watcher);
      ended.catch(() => undefined);
    }
  }

  /** SIGTERM, as docker stop sends it; the exit code. */
  stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    return this.#exited;
  }

  /** SIGKILL, as a power cut. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#exited;
  }
}

/** Runs a program to its end; throws with its output unless it ends with 0. Returns stdout and stderr lines. */
export async function run(command: string, ...args: string[]): Promise<string> {
  const program = new Program({ command, arguments: args });
  const code = await program.exited;
  if (program.process.stdout && !program.process.stdout.closed) await once(program.process.stdout, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}:\n${program.output}`);
  return program.output;
}
