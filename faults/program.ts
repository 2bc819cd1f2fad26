import { setTimeout as wait } from 'node:timers/promises';
import { startProcess, type LabProcess } from '../lab/process.ts';

/** A program of the farm, which is started again whenever it has ended, as a supervisor would. */
export interface Program extends AsyncDisposable {
  readonly id: string;
  /** Of the process that runs now. */
  readonly pid: number;
  /** The times that it ended without having been told to, after it was ready, with the end of what it had printed. */
  readonly ownEnds: readonly string[];
  /** Sends a signal to the process that runs now. */
  signal(signal: NodeJS.Signals): void;
  /** Kills it without a word; it stays dead until it is revived. */
  kill(): Promise<void>;
  revive(): void;
  /** Asks it to leave, and answers with its exit code. */
  stop(): Promise<number>;
}

export interface ProgramOptions {
  readonly id: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** What it prints when it is ready. */
  readonly ready: RegExp;
  readonly onOutput: (program: string, text: string) => void;
}

/** A program that could not start, as its database is away, is tried again after so long, in milliseconds. */
const START_AGAIN_MS = 300;
const OUTPUT_SHOWN = 2000;

/** Starts a program and waits until it is ready for the first time. */
export async function startProgram({ id, command, env, ready, onOutput }: ProgramOptions): Promise<Program> {
  const [file = '', ...args] = command;
  const ownEnds: string[] = [];
  const stopping = new AbortController();
  /** Resolved while it is wanted. */
  let alive = Promise.withResolvers<null>();
  alive.resolve(null);
  let isWanted = true;

  const start = (): LabProcess =>
    startProcess(file, args, {
      env: { PATH: process.env['PATH'], LOG_FORMAT: 'json', ...env },
      onOutput: (text) => onOutput(id, text),
    });
  let current = start();
  try {
    await current.printed(ready);
  } catch (error) {
    await current.stop();
    throw error;
  }

  const isStopping = (): boolean => stopping.signal.aborted;

  const supervise = async (): Promise<void> => {
    for (;;) {
      const code = await current.exited;
      if (isStopping()) return;
      if (isWanted && ready.test(current.output())) {
        ownEnds.push(`${id} ended with ${code}: ${current.output().slice(-OUTPUT_SHOWN)}`);
      }
      await wait(START_AGAIN_MS);
      await alive.promise;
      if (isStopping()) return;
      current = start();
    }
  };
  const supervised = supervise();

  const stop = async (): Promise<number> => {
    stopping.abort();
    alive.resolve(null);
    await current.stop();
    await supervised;
    return current.exited;
  };
  return {
    id,
    get pid() {
      return current.pid;
    },
    ownEnds,
    signal: (signal) => current.kill(signal),
    async kill() {
      isWanted = false;
      alive = Promise.withResolvers();
      current.kill('SIGKILL');
      await current.exited;
    },
    revive() {
      isWanted = true;
      alive.resolve(null);
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}
