import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** The command line, which Node runs as it is. */
export const MAIN = join(import.meta.dirname, '../../../src/cli/main.ts');

export interface CliRun {
  /** Resolves when the standard output, or the standard error, has it. */
  printed(pattern: RegExp): Promise<void>;
  /** By SIGINT, as Ctrl-C, when absent. */
  interrupt(signal?: NodeJS.Signals): void;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Runs `quay-build` as a user would in a pipe, or, with `terminal`, on a pseudo-terminal of 80 columns. */
export function startCli(
  args: readonly string[],
  options: { url: string; env?: NodeJS.ProcessEnv; cwd?: string; terminal?: boolean },
): CliRun {
  const program = [process.execPath, MAIN, ...args];
  const command = options.terminal
    ? ['script', '-qefc', `stty cols 80 rows 24; exec ${program.map(quote).join(' ')}`, '/dev/null']
    : program;
  const [file = '', ...rest] = command;
  const child = spawn(file, rest, {
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      TERM: 'xterm-256color',
      QUAY_BUILD_URL: options.url,
      ...options.env,
    },
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const watch of watchers) watch();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    for (const watch of watchers) watch();
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!pattern.test(stdout) && !pattern.test(stderr)) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
        void ended.then(() =>
          reject(new Error(`it ended without printing ${String(pattern)}: ${stdout}${stderr}`)),
        );
      }),
    interrupt: (signal = 'SIGINT') => child.kill(signal),
    ended,
  };
}

/** Runs it to its end. */
export function cli(args: readonly string[], options: Parameters<typeof startCli>[1]): CliRun['ended'] {
  return startCli(args, options).ended;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
