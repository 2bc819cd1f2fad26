import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { BuildError } from '../build-errors.ts';

export interface GitCall {
  readonly executable: string;
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly signal: AbortSignal;
  /** Without output for so long, in milliseconds, git is ended. */
  readonly silenceMs: number;
  /** What is kept of each of its outputs, in characters. */
  readonly outputKept: number;
  /** Each whole line of its standard error; not the ones that it draws over. */
  readonly onLine: (line: string) => void;
}

/** What git makes comes into images: with the modes that a shell gives, whatever a service's own umask is. */
const UMASK = 0o022;

export interface GitResult {
  readonly ok: boolean;
  /** The end of what it printed on its standard error. */
  readonly output: string;
  /** Its standard output; null when it was more than is kept. */
  readonly answer: string | null;
  /** Whether it was ended for its silence. */
  readonly stalled: boolean;
}

/**
 * Runs git, or a program of ssh, in a process group of its own, which is killed as a whole: at an abort, after a silence, and when git has ended, since
 * `git-remote-http` and `ssh` would live on. Throws a BuildError `internalerror` when it cannot be started. Rejects with the signal's reason when aborted, once no process holds the output any more.
 */
export async function runGit(args: readonly string[], call: GitCall): Promise<GitResult> {
  call.signal.throwIfAborted();
  const child = start(args, call);
  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is empty already.
    }
  };
  let stalled = false;
  const silence = setTimeout(() => {
    stalled = true;
    killGroup();
  }, call.silenceMs);
  call.signal.addEventListener('abort', killGroup, { once: true });

  let output = '';
  let line = '';
  let answer: string | null = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    silence.refresh();
    if (answer !== null) answer = answer.length + text.length > call.outputKept ? null : answer + text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    silence.refresh();
    output = (output + text).slice(-call.outputKept);
    const lines = (line + text).split('\n');
    line = (lines.pop() ?? '').slice(-call.outputKept);
    // What is drawn over ends in CR; lines of ssh end in CR LF.
    for (const whole of lines) call.onLine(whole.replace(/\r$/, '').replace(/^.*\r/s, ''));
  });
  child.on('exit', killGroup);
  try {
    const ok = await new Promise<boolean>((resolve, reject) => {
      child.on('error', (cause) => {
        reject(
          new BuildError('internalerror', `The worker could not start ${basename(call.executable)}.`, {
            cause,
          }),
        );
      });
      child.on('close', (code) => resolve(code === 0));
    });
    call.signal.throwIfAborted();
    return { ok, output, answer, stalled };
  } finally {
    clearTimeout(silence);
    call.signal.removeEventListener('abort', killGroup);
  }
}

function start(
  args: readonly string[],
  { executable, cwd, env }: GitCall,
): ChildProcessByStdio<null, Readable, Readable> {
  const own = process.umask(UMASK);
  try {
    return spawn(executable, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  } finally {
    process.umask(own);
  }
}
