import { chmod, mkdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { decideKind } from '../archive/kind.ts';
import { unpackArchive } from '../archive/unpack.ts';
import type { SourceCall } from '../source.ts';
import { downloadPackage, type DownloadOptions } from './download.ts';

export interface FetchedPackage {
  /** The package's root. */
  readonly directory: string;
  /** Whether the package was a Dockerfile alone: it lies in the root as `Dockerfile`. */
  readonly lone: boolean;
}

/** Fetches a package and unpacks it below the call's folder. Throws a BuildError that names what is wrong. */
export async function fetchPackage(
  address: string,
  call: SourceCall,
  options: DownloadOptions & { readonly searchPath: string },
): Promise<FetchedPackage> {
  const file = join(call.directory, 'package');
  const directory = join(call.directory, 'context');
  const { contentType, head } = await downloadPackage(address, file, call, options);
  const kind = decideKind(contentType, head);
  if (kind === 'dockerfile') {
    await mkdir(directory);
    const dockerfile = join(directory, 'Dockerfile');
    await rename(file, dockerfile);
    // A Dockerfile may copy itself: with the mode that files usually have.
    await chmod(dockerfile, 0o644);
    return { directory, lone: true };
  }
  const { limits, searchPath } = options;
  await unpackArchive(file, kind, directory, { limits, searchPath, signal: call.signal });
  await unlink(file);
  return { directory, lone: false };
}
