import { parseStepHeading } from '../../contract/log-messages.ts';
import { PIECE_MAX } from '../limits.ts';

/** Where a line begins that may be a step's heading. */
const HEADING = /(?<=^|\n)Step \d/g;

/**
 * Splits a step's output, which an engine gives in pieces of any size, at ends of lines: into pieces of a bounded size, and so that a
 * step's heading is a piece by itself, as the classic builder gives it and managers look for it.
 */
export function splitOutput(text: string): string[] {
  const headings = Array.from(text.matchAll(HEADING), ({ index }) => index)
    .filter((at) => parseStepHeading(text.slice(at, lineEnd(text, at))) !== null)
    .flatMap((at) => [at, lineEnd(text, at)]);
  const pieces: string[] = [];
  let from = 0;
  for (const end of [...headings, text.length]) {
    while (from < end) {
      const to = end - from <= PIECE_MAX ? end : breakBefore(text, from, end);
      pieces.push(text.slice(from, to));
      from = to;
    }
  }
  return pieces;
}

/** The end of the last line that still fits in a piece; of the first, where that alone is too long. */
function breakBefore(text: string, from: number, end: number): number {
  const fitting = text.lastIndexOf('\n', from + PIECE_MAX - 1) + 1;
  return fitting > from ? fitting : Math.min(lineEnd(text, from), end);
}

function lineEnd(text: string, from: number): number {
  const newline = text.indexOf('\n', from);
  return newline === -1 ? text.length : newline + 1;
}
