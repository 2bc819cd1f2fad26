import { z } from 'zod';
import type { OwnError } from './observations.ts';

/** What the managers logged of themselves and should never have to. */

/** Lines of a manager that met an unexpected error in a try, and of one whose end it could not write. */
const MESSAGES: readonly string[] = ['a try failed in the manager', 'a try could not be given back'];

const lineSchema = z.looseObject({ msg: z.string(), build: z.string().nullish() });

export interface OwnErrors {
  readonly found: readonly OwnError[];
  /** Hears what a program printed, in pieces of any length. */
  hear(program: string, text: string): void;
}

export function listenForOwnErrors(): OwnErrors {
  const found: OwnError[] = [];
  /** Of each program, what it printed after the last line break. */
  const begun = new Map<string, string>();
  return {
    found,
    hear(program, text) {
      const lines = `${begun.get(program) ?? ''}${text}`.split('\n');
      begun.set(program, lines.pop() ?? '');
      for (const line of lines) {
        if (!MESSAGES.some((message) => line.includes(message))) continue;
        const { msg, build = null } = lineSchema.parse(JSON.parse(line));
        if (MESSAGES.includes(msg)) found.push({ program, build, line });
      }
    },
  };
}
