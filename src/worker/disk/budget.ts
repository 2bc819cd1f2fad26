/** How much of the engine's disk a worker may fill: bytes, or a share of the room that there is for it. */
export type DiskBudget = { readonly bytes: number } | { readonly share: number } | 'none';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
  ti: 1024 ** 4,
};

/** Reads `50G`, `200GiB`, `70%` or `none`; undefined when it is none of them, or more than there can be. */
export function readDiskBudget(text: string): DiskBudget | undefined {
  if (text === 'none') return 'none';
  const share = /^([1-9]\d?|100)%$/.exec(text);
  if (share) return { share: Number(share[1]) / 100 };
  const size = /^(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]i?)?b?$/i.exec(text);
  if (!size) return undefined;
  const bytes = Math.floor(Number(size[1]) * (UNITS[(size[2] ?? '').toLowerCase()] ?? 1));
  return Number.isSafeInteger(bytes) && bytes > 0 ? { bytes } : undefined;
}

/**
 * The budget in bytes, or null when there is none. `roomBytes` is what is used of it and what is free on the file system of the
 * engine's data; a share of what the worker cannot see is no budget.
 */
export function budgetBytes(budget: DiskBudget, roomBytes: number | null): number | null {
  if (budget === 'none') return null;
  if ('bytes' in budget) return budget.bytes;
  return roomBytes === null ? null : Math.floor(roomBytes * budget.share);
}

/** For people: `12.3 GB`. */
export function showBytes(bytes: number): string {
  const unit = ['B', 'kB', 'MB', 'GB', 'TB'];
  let power = 0;
  let value = bytes;
  while (value >= 1000 && power < unit.length - 1) {
    value /= 1000;
    power += 1;
  }
  return `${power === 0 ? value : value.toFixed(1)} ${unit[power] ?? ''}`;
}
