import { InvalidArgumentError } from 'commander';

/** Reads how many are asked for; which are too many is the manager's to say. */
export function readLimit(text: string): string {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 on.');
  return text;
}
