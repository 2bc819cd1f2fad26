import { createReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { BuildError } from '../../../contract/build-errors.ts';
import { isSystemError } from '../system-error.ts';
import { decompress } from './decompress.ts';
import { openDestination, type Destination } from './destination.ts';
import type { ArchiveKind } from './kind.ts';
import { unpackTar, type UnpackCall } from './tar.ts';
import { unpackZip } from './zip.ts';

const READ_BYTES = 64 * 1024;

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
  await unpackInto(directory, kind, call, async (destination) => {
    if (kind === 'zip') return unpackZip(archive, destination, call);
    const { size: packedBytes } = await stat(archive);
    const content = readTar(archive, kind, call);
    await unpackTar({ content, packedBytes, gzipped: kind === 'tar.gz' }, destination, call);
  });
}

/** What can be unpacked as it comes: it is read from its beginning to its end, by nothing but us. */
export type StreamedKind = 'tar' | 'tar.gz';

export function isStreamed(kind: ArchiveKind): kind is StreamedKind {
  return kind === 'tar' || kind === 'tar.gz';
}

/** Unpacks an archive of `packedBytes` as {@link unpackArchive} does, while it comes. Throws what reading it throws, too. */
export async function unpackStream(
  content: AsyncIterable<Uint8Array>,
  packedBytes: number,
  kind: StreamedKind,
  directory: string,
  call: UnpackCall,
): Promise<void> {
  await unpackInto(directory, kind, call, (destination) =>
    unpackTar({ content, packedBytes, gzipped: kind === 'tar.gz' }, destination, call),
  );
}

function readTar(
  archive: string,
  kind: Exclude<ArchiveKind, 'zip'>,
  call: UnpackCall,
): AsyncIterable<Uint8Array> {
  switch (kind) {
    case 'tar.bz2':
      return decompress('bzip2', archive, call);
    case 'tar.xz':
      return decompress('xz', archive, call);
    default:
      return createReadStream(archive, { highWaterMark: READ_BYTES });
  }
}

async function unpackInto(
  directory: string,
  kind: ArchiveKind,
  call: UnpackCall,
  unpack: (destination: Destination) => Promise<void>,
): Promise<void> {
  try {
    await mkdir(directory);
    using destination = openDestination(directory, call.limits);
    await unpack(destination);
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
