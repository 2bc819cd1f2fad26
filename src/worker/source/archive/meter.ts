import { BuildError } from '../../../contract/build-errors.ts';
import type { SourceLimits } from '../limits.ts';
import { formatBytes } from '../../../contract/words.ts';

/** Counts what a package unpacks to. Throws a BuildError `cannotextractbuildpack` at a limit. */
export type Meter = (bytes: number) => void;

/** A meter for a package of `packedBytes`. */
export function createMeter(packedBytes: number, limits: SourceLimits): Meter {
  let unpacked = 0;
  const byRatio = Math.max(limits.ratioFreeBytes, packedBytes * limits.compressionRatio);
  return (bytes) => {
    unpacked += bytes;
    if (unpacked > limits.unpackedBytes) {
      throw new BuildError(
        'cannotextractbuildpack',
        `The package unpacks to more than ${formatBytes(limits.unpackedBytes)}. Leave out what the build does not need.`,
      );
    }
    if (unpacked > byRatio) {
      throw new BuildError(
        'cannotextractbuildpack',
        `The package unpacks to more than ${limits.compressionRatio} times its size, as a decompression bomb does. Leave out what is only filling.`,
      );
    }
  };
}
