import { parseStepHeading } from '../../contract/log-messages.ts';
import { PIECE_MAX } from '../limits.ts';

/**
 * Splits a step's output, which an engine gives in pieces of any size, at ends of lines: into pieces of a bounded size, and so that a
 * step's heading begins a piece, where the manager looks for it.
 */
export function splitOutput(text: string): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const line of text.split(/(?<=\n)/)) {
    const beginsPiece = piece.length + line.length > PIECE_MAX || parseStepHeading(line) !== null;
    if (beginsPiece && piece !== '') {
      pieces.push(piece);
      piece = '';
    }
    piece += line;
  }
  return piece === '' ? pieces : [...pieces, piece];
}
