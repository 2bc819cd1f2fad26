import { BuildError } from '../../../contract/build-errors.ts';
import type { SourceLimits } from '../limits.ts';
import { quote } from '../../../contract/words.ts';

/** Refuses a package, because of one of its entries. */
export function refuseEntry(name: string, why: string): BuildError {
  return new BuildError('cannotextractbuildpack', `The package's entry ${quote(name)} ${why}`);
}

/**
 * The parts of an entry's name below the root of the package, `[]` for the root itself. Throws a BuildError
 * `cannotextractbuildpack` for a name that leaves the package, cannot be stored, or is over a limit.
 */
export function splitName(name: string, limits: SourceLimits): readonly string[] {
  if (name === '') throw refuseEntry(name, 'has no name. Pack it again.');
  if (name.includes('\0')) throw refuseEntry(name, 'holds a NUL character. Rename it.');
  if (name.includes('\uFFFD')) {
    throw refuseEntry(name, 'has a name that is not UTF-8. Rename it, or leave it out of the package.');
  }
  if (name.startsWith('/')) {
    throw refuseEntry(name, 'has an absolute name. Pack files by names relative to one folder.');
  }
  if (Buffer.byteLength(name) > limits.pathBytes) {
    throw refuseEntry(name, `has a name of more than ${limits.pathBytes} bytes. Shorten it.`);
  }
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw refuseEntry(name, 'leaves the package by "..". Pack files by names inside one folder.');
  }
  if (parts.length > limits.depth) {
    throw refuseEntry(name, `lies more than ${limits.depth} folders deep. Pack a flatter tree.`);
  }
  if (parts.some((part) => Buffer.byteLength(part) > limits.nameBytes)) {
    throw refuseEntry(name, `has a part of more than ${limits.nameBytes} bytes. Shorten it.`);
  }
  return parts;
}
