import { setTimeout } from 'node:timers/promises';
import { BuildError } from '../../contract/build-errors.ts';
import { createAddressGuard, type Lookup, type PrivateAddresses } from '../../contract/network/addresses.ts';
import { locateContext } from './context.ts';
import { readDockerfile } from './dockerfile/read-dockerfile.ts';
import { checkOut } from './git/checkout.ts';
import { noKnownHosts, type KnownHosts } from '../../contract/git/ssh.ts';
import { defaultSourceLimits, type SourceLimits } from './limits.ts';
import { fetchPackage } from './package/fetch-package.ts';
import { noProxies, type Proxies } from '../../contract/network/proxies.ts';
import type { FetchSource } from './source.ts';
import { isSystemError } from './system-error.ts';

export interface SourceFetcherOptions {
  readonly limits?: Partial<SourceLimits>;
  /** The git program, a path or a name in the PATH. */
  readonly git?: string;
  /** Where git, ssh, bzip2 and xz are looked up; the worker's own PATH when absent. */
  readonly searchPath?: string;
  /** Which private addresses a source may be fetched from; all when absent. */
  readonly privateAddresses?: PrivateAddresses;
  /** The system's resolver when absent. */
  readonly lookup?: Lookup;
  /** The proxies of http and https; none when absent. */
  readonly proxies?: Proxies;
  /** The servers that git over ssh trusts; none when absent. */
  readonly knownHosts?: KnownHosts;
  /** The file of the certificate authorities that git checks https servers by; the machine's list when absent. */
  readonly gitAuthorities?: string | null;
  /** Waits between tries, and rejects with the signal's reason when it is aborted. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A number from 0 up to 1. */
  readonly random?: () => number;
}

/**
 * The `unpacking` phase (worker contract 0.3): packages over http(s), and commits over git's http(s) and ssh. Where both are given git wins,
 * as `build_package` is `""` then. An abort rejects with the signal's reason; what was fetched is left to who made the folder.
 */
export function createSourceFetcher(options: SourceFetcherOptions = {}): FetchSource {
  const limits = { ...defaultSourceLimits, ...options.limits };
  const searchPath = options.searchPath ?? process.env['PATH'] ?? '/usr/bin:/bin';
  const network = {
    guard: createAddressGuard(options.privateAddresses ?? 'all', options.lookup),
    proxies: options.proxies ?? noProxies,
  };
  const download = {
    limits,
    network,
    searchPath,
    wait: options.wait ?? ((ms, signal) => setTimeout(ms, undefined, { signal })),
    random: options.random ?? Math.random,
  };
  const git = {
    limits,
    executable: options.git ?? 'git',
    searchPath,
    network,
    knownHosts: options.knownHosts ?? noKnownHosts,
    authorities: options.gitAuthorities ?? null,
  };

  const fetch: FetchSource = async (build, call) => {
    const place = { context: build.context, dockerfile_path: build.dockerfile_path };
    let root: string;
    if (build.git && build.git.url !== '') {
      root = await checkOut(build.git, call, git);
    } else if (build.build_package !== '') {
      const { directory, lone } = await fetchPackage(build.build_package, call, download);
      root = directory;
      if (lone) Object.assign(place, { context: '', dockerfile_path: '' });
    } else {
      throw new BuildError(
        'missingorinvalidargument',
        'The build has neither a package (build_package) nor a commit (git).',
      );
    }
    const { contextDirectory, dockerfile, shown, text } = await locateContext(root, place, limits);
    const own = { buildArgs: build.build_args ?? {}, target: build.target ?? '' };
    return { contextDirectory, dockerfile, ...readDockerfile(text, shown, own) };
  };
  return async (build, call) => {
    call.signal.throwIfAborted();
    try {
      return await fetch(build, call);
    } catch (error) {
      // What fails because of the abort says so in its own words; the caller knows only its reason.
      call.signal.throwIfAborted();
      if (!isSystemError(error)) throw error;
      const why = error.code ?? 'unknown error';
      throw new BuildError('internalerror', `The worker could not keep the source on its disk (${why}).`, {
        cause: error,
      });
    }
  };
}
