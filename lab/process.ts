import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How much of a process's output is kept for its error message, in characters. */
const OUTPUT_KEPT = 65_536;
/** How long a process may take to print what is waited for, and to end after SIGTERM, in milliseconds: on a machine that does much else. */
const READY_WITHIN_MS = 100_000;
const END_WITHIN_MS = 60_000;

export interface LabProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it printed last, both streams. */
  output(): string;
  /** Resolves when `pattern` is in the output, also when it already is. Fails when the process ends first. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves with the exit code (128 + signal when killed). */
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL for one that does not end. */
  stop(): Promise<void>;
}

export interface ProcessOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Sees each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** Starts a program that ends when this process does, however that ends (Linux's parent-death signal). */
export function startProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): LabProcess {
  const child: ChildProcess = spawn('/usr/bin/setpriv', ['--pdeathsig', 'TERM', '--', command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: options.cwd,
    env: options.env ?? process.env,
    // Ctrl-C is for us alone: we end it, in order.
    detached: true,
  });
  let kept = '';
  const watchers = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      kept = (kept + text).slice(-OUTPUT_KEPT);
      options.onOutput?.(text);
      for (const watch of watchers) watch();
    });
  }
  const exited = new Promise<number>((resolve) => {
    child.on('error', (error) => {
      kept += String(error);
      resolve(127);
    });
    child.on('close', (code) => resolve(code ?? 128));
  });
  let ended = false;
  void exited.then(() => {
    ended = true;
    for (const watch of watchers) watch();
  });

  const stop = async (): Promise<void> => {
    if (ended) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS);
    await exited;
    clearTimeout(timer);
  };
  return {
    // Of none no signal is sent: -1 would be every process.
    pid: child.pid ?? Number.NaN,
    output: () => kept,
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void): void => {
          watchers.delete(look);
          clearTimeout(timer);
          finish();
        };
        const look = (): void => {
          const match = pattern.exec(kept);
          if (match) settle(() => resolve(match));
          else if (ended) settle(() => reject(new Error(`${command} ended before it was ready:\n${kept}`)));
        };
        const timer = setTimeout(
          () => settle(() => reject(new Error(`${command} was not ready in time:\n${kept}`))),
          READY_WITHIN_MS,
        );
        watchers.add(look);
        look();
      }),
    exited,
    kill: (signal) => child.kill(signal),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Runs a program to its end and answers with its standard output. Fails with what it printed when the exit code is not 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: ProcessOptions & { input?: Uint8Array | string } = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    detached: true,
  });
  const out: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (data: Buffer) => out.push(data));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    options.onOutput?.(text);
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const [code] = (await once(child, 'close')) as [number | null];
  const text = Buffer.concat(out).toString();
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}: ${err}${text}`);
  return text;
}
