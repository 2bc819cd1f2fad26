import type { GitLimits } from '../../contract/git/access.ts';

/** The limits of fetching and unpacking. At each of them the build fails with a BuildError that names the limit. */
export interface SourceLimits extends GitLimits {
  /** A package as it is fetched, in bytes. */
  readonly packageBytes: number;
  /** What a package may unpack to, in bytes, its headers counted. */
  readonly unpackedBytes: number;
  /** How many times its size a package may unpack to; looked at once more than `ratioFreeBytes` are unpacked. */
  readonly compressionRatio: number;
  readonly ratioFreeBytes: number;
  /** Entries in a package, and the folders that they make. */
  readonly entries: number;
  /** An entry's whole name, and a link's target, in bytes of UTF-8. */
  readonly pathBytes: number;
  /** One part of a name between slashes, in bytes of UTF-8: what Linux can store. */
  readonly nameBytes: number;
  /** How many folders deep an entry may lie. */
  readonly depth: number;
  /** A Dockerfile, in bytes. */
  readonly dockerfileBytes: number;
  /** How often a package is asked for, the first time counted. */
  readonly tries: number;
  /** The wait before the second try, in milliseconds; it doubles with each further one. */
  readonly retryWaitMs: number;
  /** The submodules of a commit, those of submodules counted, and how deep they may lie in each other. */
  readonly submodules: number;
  readonly submoduleDepth: number;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

export const defaultSourceLimits: SourceLimits = {
  packageBytes: 5 * GIB,
  unpackedBytes: 20 * GIB,
  compressionRatio: 200,
  ratioFreeBytes: 128 * MIB,
  entries: 500_000,
  pathBytes: 4095,
  nameBytes: 255,
  depth: 100,
  dockerfileBytes: MIB,
  redirects: 10,
  tries: 4,
  retryWaitMs: 500,
  connectMs: 10_000,
  stallMs: 60_000,
  gitSilenceMs: 180_000,
  submodules: 200,
  submoduleDepth: 8,
  gitOutputKept: 65_536,
};
