import { createHash } from 'node:crypto';

/** Numbers that a seed decides. */
export interface Random {
  /** From 0 up to, and without, 1. */
  fraction(): number;
  /** A whole number from `least` to `most`, both included. */
  integer(least: number, most: number): number;
  pick<T>(from: readonly [T, ...T[]]): T;
  shuffle<T>(items: readonly T[]): T[];
}

/** The same seed gives the same numbers, on every machine. */
export function randomOf(seed: string): Random {
  let drawn = 0;
  const fraction = (): number => {
    const digest = createHash('sha256').update(`${seed}/${++drawn}`).digest();
    return digest.readUInt32BE(0) / 2 ** 32;
  };
  const integer = (least: number, most: number): number =>
    least + Math.floor(fraction() * (most - least + 1));
  return {
    fraction,
    integer,
    pick: (from) => from[integer(0, from.length - 1)] ?? from[0],
    shuffle: (items) => {
      const left = [...items];
      return items.flatMap(() => left.splice(integer(0, left.length - 1), 1));
    },
  };
}
