import type { LogRecord } from './api.ts';

/** How a build's log reads as plain text: what it printed as it came, and everything else on lines of its own. */
export interface LogText {
  /** The text of the next record; empty for a transfer's progress. */
  add(record: LogRecord): string;
  /** What ends a last line that was left open. */
  end(): string;
}

/** Makes a reader of one log, from its beginning or from any position on. */
export function createLogText(): LogText {
  let atLineStart = true;
  let currentTry: number | null = null;

  const line = (text: string): string => {
    const open = atLineStart ? '' : '\n';
    atLineStart = true;
    return `${open}${text.trimEnd()}\n`;
  };
  const content = (record: LogRecord): string => {
    switch (record.stream) {
      case 'output':
        if (record.text !== '') atLineStart = record.text.endsWith('\n');
        return record.text;
      case 'status':
        return line(record.text);
      case 'phase':
        return line(`==> ${record.text}`);
      case 'note':
        return line(`[manager] ${record.text}`);
      case 'progress':
        return '';
    }
  };
  return {
    add(record) {
      const begins = record.try > 1 && record.try !== currentTry ? line(`==> try ${record.try}`) : '';
      currentTry = record.try;
      return begins + content(record);
    },
    end: () => (atLineStart ? '' : line('')),
  };
}
