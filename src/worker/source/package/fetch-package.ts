import { createWriteStream } from 'node:fs';
import { chmod, mkdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { decideKind } from '../archive/kind.ts';
import { isStreamed, unpackArchive, unpackStream } from '../archive/unpack.ts';
import type { SourceCall } from '../source.ts';
import { downloadPackage, type DownloadOptions } from './download.ts';

export interface FetchedPackage {
  /** The package's root. */
  readonly directory: string;
  /** Whether the package was a Dockerfile alone: it lies in the root as `Dockerfile`. */
  readonly lone: boolean;
}

/** Fetches a package and unpacks it below the call's folder, as it comes where that can be done. Throws a BuildError that names what is wrong. */
export async function fetchPackage(
  address: string,
  call: SourceCall,
  options: DownloadOptions & { readonly searchPath: string },
): Promise<FetchedPackage> {
  const file = join(call.directory, 'package');
  const directory = join(call.directory, 'context');
  const { limits, searchPath } = options;
  const unpackCall = { limits, searchPath, signal: call.signal };
  const stored = await downloadPackage(address, call, options, async (body) => {
    const kind = decideKind(body.contentType, await body.head);
    // How far a package may unpack goes by its size, which not every server says before it is there.
    if (kind !== 'dockerfile' && isStreamed(kind) && body.length !== null) {
      await rm(directory, { recursive: true, force: true });
      await unpackStream(body.content, body.length, kind, directory, unpackCall);
      return null;
    }
    await pipeline(body.content, createWriteStream(file, { mode: 0o600 }));
    return kind;
  });
  if (stored === 'dockerfile') {
    await mkdir(directory);
    const dockerfile = join(directory, 'Dockerfile');
    await rename(file, dockerfile);
    // A Dockerfile may copy itself: with the mode that files usually have.
    await chmod(dockerfile, 0o644);
    return { directory, lone: true };
  }
  if (stored !== null) {
    await unpackArchive(file, stored, directory, unpackCall);
    await unlink(file);
  }
  return { directory, lone: false };
}
