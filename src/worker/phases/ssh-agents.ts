import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { BuildError } from '../../contract/build-errors.ts';
import { createDisposables } from '../../contract/disposables.ts';
import type { SshAgent } from '../engine/engine.ts';
import type { BuildRun } from './build-run.ts';

export interface SshAgents extends AsyncDisposable {
  readonly byId: ReadonlyMap<string, SshAgent>;
}

/**
 * Starts an agent of OpenSSH's for each key, with a socket in the folder of the build. A key goes from memory to its agent, and never
 * lies on the disk. The agents end when they are disposed of, and within some seconds of a worker that was killed. Throws a
 * BuildError `builderror` for a key that OpenSSH cannot use.
 */
export async function startSshAgents(
  keys: Readonly<Record<string, string>>,
  { directory, signal }: Pick<BuildRun, 'directory' | 'signal'>,
): Promise<SshAgents> {
  await using stack = createDisposables();
  const byId = new Map<string, SshAgent>();
  for (const [id, key] of Object.entries(keys)) {
    signal.throwIfAborted();
    byId.set(id, stack.use(await startAgent(id, key, directory)));
  }
  const started = stack.move();
  return { byId, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

const SOCKET = 'agent';

async function startAgent(id: string, key: string, directory: string): Promise<SshAgent & AsyncDisposable> {
  await using stack = createDisposables();
  const folder = await mkdtemp(join(directory, 'ssh-'));
  const handle = stack.use(await open(folder));
  // An agent ends with the command that it is started with, and `cat` with the worker, whose pipe it reads. It may load no library.
  const command = ['sh', '-c', 'echo "$SSH_AGENT_PID"; exec cat'];
  const holder = spawn('ssh-agent', ['-a', SOCKET, '-P', 'none', ...command], {
    cwd: folder,
    env: environment(),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const holderEnded = closed(holder);
  stack.defer(async () => {
    holder.kill('SIGKILL');
    await holderEnded;
  });
  const pid = await firstNumber(holder);
  if (pid === null) throw new BuildError('internalerror', 'The worker could not start ssh-agent.');
  // Through the open folder, since the path of a socket must be short.
  const agent = { connect: () => connect(`/proc/self/fd/${handle.fd}/${SOCKET}`) };
  // The agent is no child of ours: that it has ended shows in a connection.
  const watch = agent.connect().resume();
  const agentEnded = once(watch, 'close').catch(() => undefined);
  stack.defer(async () => {
    // Its number is not used again before its holder has ended; where that was killed, the agent goes by itself.
    if (holder.exitCode === null && holder.signalCode === null) process.kill(pid, 'SIGKILL');
    await agentEnded;
  });
  await addKey(id, key, folder);
  const started = stack.move();
  return { ...agent, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

async function addKey(id: string, key: string, folder: string): Promise<void> {
  const child = spawn('ssh-add', ['-q', '-'], {
    cwd: folder,
    env: { ...environment(), SSH_AUTH_SOCK: SOCKET, SSH_ASKPASS_REQUIRE: 'never' },
    // Without a terminal to ask for a passphrase at.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = closed(child);
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${key.replace(/\r\n?/g, '\n').trim()}\n`);
  const words = await text(child.stderr);
  if ((await ended) === 0) return;
  throw new BuildError(
    'builderror',
    /passphrase/i.test(words)
      ? `The ssh key ${id} is protected by a passphrase. Give one without: nobody is there to type it.`
      : `The ssh key ${id} cannot be read. Give all lines of it, in the form of OpenSSH or PEM.`,
  );
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] };
}

/** The exit code; null for a program that could not be started or was killed. */
async function closed(child: ChildProcess): Promise<number | null> {
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return code;
  } catch {
    return null;
  }
}

/** The number in the first line that a program prints; null when it prints none. */
async function firstNumber({ stdout }: ChildProcess): Promise<number | null> {
  let printed = '';
  try {
    for await (const piece of (stdout?.setEncoding('utf8') ?? []) as AsyncIterable<string>) {
      printed += piece;
      if (printed.includes('\n')) break;
    }
  } catch {
    // It could not be started.
  }
  const number = Number.parseInt(printed, 10);
  return Number.isInteger(number) ? number : null;
}
