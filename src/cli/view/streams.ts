import { safeForTerminal } from './text.ts';

/** Where text goes. */
export type Write = (text: string) => void;

/** What is used of a standard stream. */
interface OutputStream {
  readonly isTTY: boolean;
  write(text: string): unknown;
}

/** Whether the user wants no colours (https://no-color.org), or has a terminal that knows none. */
export function isPlain(env: NodeJS.ProcessEnv): boolean {
  return Boolean(env['NO_COLOR']) || env['TERM'] === 'dumb';
}

/** Writes to a stream: to a pipe or a file what there is, to a terminal only what is safe there. */
export function writeTo(stream: OutputStream, env: NodeJS.ProcessEnv): Write {
  const colours = !isPlain(env);
  return (text) => void stream.write(stream.isTTY ? safeForTerminal(text, { colours }) : text);
}
