import { stripVTControlCharacters } from 'node:util';

/** Text for people and scripts: sizes, durations, tables, JSON, and what a terminal may be given. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `12.3 MB` for a number of bytes. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}

/** `1:05` or `1:02:03` for milliseconds. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const padded = (value: number): string => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${padded(m)}:${padded(s)}` : `${m}:${padded(s)}`;
}

// eslint-disable-next-line no-control-regex -- what is looked for is control characters
const COLOUR = /\u001b\[[0-9;]*m/;
// eslint-disable-next-line no-control-regex -- what is looked for is control characters
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * What a log may print on a terminal: text, tabs, line ends and, unless they are not wanted, colours. Other control sequences could
 * move the cursor or do worse, and what a build prints is not to be trusted with that. A lone carriage return begins a new line.
 */
export function safeForTerminal(text: string, { colours } = { colours: true }): string {
  return text
    .replace(/\r\n?/g, '\n')
    .split(new RegExp(`(${COLOUR.source})`))
    .map((part) =>
      colours && COLOUR.test(part) ? part : stripVTControlCharacters(part).replace(CONTROL, ''),
    )
    .join('');
}

const segmenter = new Intl.Segmenter();
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;

/** Cuts text to as many columns of a terminal as there are, with an ellipsis where something is missing. */
export function fitColumns(text: string, columns: number): string {
  let used = 0;
  const kept: string[] = [];
  for (const { segment } of segmenter.segment(text)) {
    const width = WIDE.test(segment) ? 2 : 1;
    if (used + width > columns) return `${kept.slice(0, -1).join('')}…`;
    used += width;
    kept.push(segment);
  }
  return text;
}

/** A table with aligned columns and two spaces between them. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_name, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return all.map((row) => `${format(row)}\n`).join('');
}

const LABEL_COLUMNS = 12;

/** Named facts, one a line, their values aligned; those that say nothing are left out. */
export function formatFacts(facts: readonly Fact[]): string {
  return facts
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `${name.padEnd(LABEL_COLUMNS)}${value}\n`)
    .join('');
}

/** A name and what is said of it; null or '' where there is nothing to say. */
export type Fact = readonly [name: string, value: string | null];

const ID_SHOWN = 8;

/** As much of a build's id as tables show. */
export function shortId(id: string): string {
  return id.slice(0, ID_SHOWN);
}

/** JSON as `--json` prints it. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
