import { mkdir } from 'node:fs/promises';
import { BuildError } from '../../../contract/build-errors.ts';
import { isSystemError } from '../system-error.ts';
import { openDestination } from './destination.ts';
import type { ArchiveKind } from './kind.ts';
import { unpackTar, type UnpackCall } from './tar.ts';
import { unpackZip } from './zip.ts';

const COMPRESSIONS = { tar: 'none', 'tar.gz': 'gzip', 'tar.bz2': 'bzip2', 'tar.xz': 'xz' } as const;

/**
 * Unpacks an archive into `directory`, which it makes. Throws a BuildError `cannotextractbuildpack` for an archive that is damaged, over
 * a limit, or would write what a package must not, and the system's error when the worker's own disk refuses.
 */
export async function unpackArchive(
  archive: string,
  kind: ArchiveKind,
  directory: string,
  call: UnpackCall,
): Promise<void> {
  try {
    await mkdir(directory);
    await using destination = await openDestination(directory, call.limits);
    if (kind === 'zip') await unpackZip(archive, destination, call);
    else await unpackTar(archive, COMPRESSIONS[kind], destination, call);
    await destination.finish();
  } catch (error) {
    call.signal.throwIfAborted();
    // Libraries say what is wrong with an archive; the system, what is wrong with the worker's disk.
    if (error instanceof BuildError || isSystemError(error) || !(error instanceof Error)) throw error;
    throw asBuildError(error, kind);
  }
}

function asBuildError(error: Error, kind: ArchiveKind): BuildError {
  return new BuildError(
    'cannotextractbuildpack',
    `The package is no ${kind} archive that can be read to its end (${error.message}). Pack it, or upload it, again.`,
    { cause: error },
  );
}
