import { readFileSync } from 'node:fs';
import { readlink } from 'node:fs/promises';

/** The letter of proc(5), or null when there is no such process. */
function stateOf(pid: number): string | null {
  try {
    // It follows the name, which is in brackets and may hold any others.
    const [, state = null] = /\) (\w)[^)]*$/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return state;
  } catch {
    return null;
  }
}

/** Whether a process with this id runs, whoever owns it. */
export function isAlive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== null && !isEnd(state);
}

/**
 * Whether a process has ended, but its id is still taken because its parent has not asked how. An orphan's parent is the machine's first
 * process, which in a container may never ask.
 */
export function isUnburied(pid: number): boolean {
  const state = stateOf(pid);
  return state !== null && isEnd(state);
}

/** The folder that a process works in; null when there is no such process, or it may not be asked. */
export async function workingFolderOf(pid: number): Promise<string | null> {
  return readlink(`/proc/${pid}/cwd`).catch(() => null);
}

function isEnd(state: string): boolean {
  return state === 'Z' || state === 'X';
}
