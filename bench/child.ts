import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';

/** Starts a program of a benchmark, which ends when it is disconnected. */
export function startChild(program: URL, execArgv: readonly string[] = []): ChildProcess {
  return fork(program, { execArgv: [...execArgv] });
}

/** Asks a process for something, and takes what it answers for the reply to that. */
export async function ask<Reply>(child: ChildProcess, request: object): Promise<Reply> {
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`a process of the benchmark ended with ${String(code)}`);
  });
  const answer = once(child, 'message');
  child.send(request);
  const [reply] = (await Promise.race([answer, gone])) as [Reply];
  return reply;
}

export async function endChildren(...children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null) continue;
    const exit = once(child, 'exit');
    child.disconnect();
    await exit;
  }
}

/** What a process has resident, in bytes (`VmRSS`, proc(5)). */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return Number(kib) * 1024;
}

const TICKS_A_SECOND = 100;

/** The processor time that a process has used, in seconds, its children's not counted (proc(5)). */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // After the program's name, in parentheses, which may hold anything: user time is the 12th field, the system's the 13th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}
