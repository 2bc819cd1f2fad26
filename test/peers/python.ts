import { fileURLToPath } from 'node:url';

/** Debian's Python, which has Debian's Autobahn. */
export const PYTHON = '/usr/bin/python3';

/** The arguments that run a program of this folder, which stays as it is. */
export function program(name: string, ...args: readonly string[]): string[] {
  return ['-B', fileURLToPath(new URL(name, import.meta.url)), ...args];
}
