import { LINE_MAX } from '../limits.ts';

const MARK = ` …[line cut after ${LINE_MAX} characters]`;
const LINE_END = /[\r\n]/g;

/** Cuts lines that are too long out of a text that comes in pieces; a carriage return begins a line too. */
export function createLineCutter(): (piece: string) => string {
  /** Characters of the current line that were let through; one more than the limit says that the mark is written. */
  let length = 0;
  const cut = (text: string): string => {
    const room = LINE_MAX - length;
    length = Math.min(length + text.length, LINE_MAX + 1);
    if (text.length <= room) return text;
    return room >= 0 ? text.slice(0, room) + MARK : '';
  };
  return (piece) => {
    // Most pieces cannot hold a line that is too long.
    if (length + piece.length <= LINE_MAX) {
      const lastEnd = Math.max(piece.lastIndexOf('\n'), piece.lastIndexOf('\r'));
      length = lastEnd === -1 ? length + piece.length : piece.length - lastEnd - 1;
      return piece;
    }
    let kept = '';
    let from = 0;
    for (const { index } of piece.matchAll(LINE_END)) {
      kept += cut(piece.slice(from, index)) + piece.charAt(index);
      length = 0;
      from = index + 1;
    }
    return kept + cut(piece.slice(from));
  };
}
