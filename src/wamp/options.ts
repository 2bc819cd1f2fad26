import { ProtocolViolation } from './errors.ts';
import { isId } from './ids.ts';
import type { Dict } from './json.ts';

/**
 * Reading known options. One that is absent or null takes its default, one of the wrong type is a protocol violation, and
 * those that nobody reads are tolerated.
 */

export function booleanOption(options: Dict, name: string, otherwise: boolean): boolean {
  const value = options[name] ?? otherwise;
  if (typeof value !== 'boolean') throw new ProtocolViolation(`option ${name} must be a boolean`);
  return value;
}

export function choiceOption<Choice extends string>(
  options: Dict,
  name: string,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  const value = options[name] ?? choices[0];
  const choice = choices.find((each) => each === value);
  if (choice === undefined)
    throw new ProtocolViolation(`option ${name} must be one of ${choices.join(', ')}`);
  return choice;
}

/** A duration in milliseconds; 0 when absent. */
export function durationOption(options: Dict, name: string): number {
  const value = options[name] ?? 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw new ProtocolViolation(`option ${name} must be an integer, in milliseconds`);
  }
  return value;
}

function setOption<Item>(
  options: Dict,
  name: string,
  isItem: (value: unknown) => value is Item,
): ReadonlySet<Item> | null {
  const value = options[name] ?? null;
  if (value === null) return null;
  if (!Array.isArray(value) || !value.every(isItem)) {
    throw new ProtocolViolation(`option ${name} must be a list of what it compares with`);
  }
  return new Set(value);
}

const isString = (value: unknown): value is string => typeof value === 'string';

/** A list of ids as a set; null when absent. */
export const idsOption = (options: Dict, name: string): ReadonlySet<number> | null =>
  setOption(options, name, isId);

/** A list of strings as a set; null when absent. */
export const stringsOption = (options: Dict, name: string): ReadonlySet<string> | null =>
  setOption(options, name, isString);
