/** How names and numbers from outside are shown in messages for people. */

const SHOWN = 120;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'];

/** A text from outside in quotes, its control characters escaped, its middle left out when it is long. */
export function quote(text: string): string {
  const half = SHOWN / 2;
  return JSON.stringify(text.length <= SHOWN ? text : `${text.slice(0, half)}…${text.slice(-half)}`);
}

/** `20 GiB`, `1.5 MiB`, `100 bytes`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${UNITS[unit] ?? ''}`;
}

/** `3 s`, `1.5 s`, `100 ms`. */
export function formatDuration(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Number((ms / 1000).toFixed(1))} s`;
}
