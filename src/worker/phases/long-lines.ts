import { LINE_MAX } from '../limits.ts';

const MARK = ` …[line cut after ${LINE_MAX} characters]`;

/** Cuts lines that are too long out of a text that comes in pieces; a carriage return begins a line too. */
export function createLineCutter(): (piece: string) => string {
  /** Characters of the current line that were let through. */
  let length = 0;
  return (piece) => {
    let kept = '';
    for (const part of piece.split(/(?<=[\r\n])/)) {
      const end = /[\r\n]$/.exec(part)?.[0] ?? '';
      const text = end === '' ? part : part.slice(0, -1);
      const room = LINE_MAX - length;
      if (text.length <= room) kept += text;
      else if (room >= 0) kept += text.slice(0, room) + MARK;
      // One more than the limit says that the mark is written.
      length = end === '' ? Math.min(length + text.length, LINE_MAX + 1) : 0;
      kept += end;
    }
    return kept;
  };
}
