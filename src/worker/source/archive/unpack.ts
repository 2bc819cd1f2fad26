import { mkdir } from 'node:fs/promises';
import { BuildError } from '../../../contract/build-errors.ts';
import { openDestination } from './destination.ts';
import type { ArchiveKind } from './kind.ts';
import { unpackTar, type UnpackCall } from './tar.ts';
import { unpackZip } from './zip.ts';

/**
 * Unpacks an archive into `directory`, which it makes. Throws a BuildError `cannotextractbuildpack` for an archive that is damaged, over
 * a limit, or would write what a package must not; `internalerror` when the worker's own disk refuses.
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
    else await unpackTar(archive, kind === 'tar.gz' ? 'gzip' : 'none', destination, call);
    await destination.finish();
  } catch (error) {
    call.signal.throwIfAborted();
    throw asBuildError(error, kind);
  }
}

function asBuildError(error: unknown, kind: ArchiveKind): BuildError {
  if (error instanceof BuildError) return error;
  if (error instanceof Error && 'syscall' in error) {
    const code = 'code' in error ? String(error.code) : 'an unknown error';
    return new BuildError('internalerror', `The worker could not write the package to its disk: ${code}.`, {
      cause: error,
    });
  }
  const why = error instanceof Error ? error.message : String(error);
  return new BuildError(
    'cannotextractbuildpack',
    `The package is no ${kind} archive that can be read to its end (${why}). Pack it, or upload it, again.`,
    { cause: error },
  );
}
