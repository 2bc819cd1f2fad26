import { isIP } from 'node:net';
import { BuildError } from '../build-errors.ts';
import { ForbiddenAddress, type HostAddress } from '../network/addresses.ts';
import { resolveHost, type Network, type NetworkLimits } from '../network/http-client.ts';
import { proxyFor } from '../network/proxies.ts';
import { gitEnvironment } from './environment.ts';
import { runGit } from './process.ts';
import type { Remote } from './remote.ts';
import { sshCommand, writeKey, type KnownHosts } from './ssh.ts';

export interface GitLimits extends NetworkLimits {
  readonly redirects: number;
  /** How long git may print nothing, in milliseconds: what `stallMs` cannot see, such as a connection that is never made. */
  readonly gitSilenceMs: number;
  /** What is kept of git's output, in characters: for its error message, and of what it answers. */
  readonly gitOutputKept: number;
}

/** How a program lets git reach repositories. */
export interface GitAccess {
  readonly limits: GitLimits;
  /** The program, a path or a name in `searchPath`. */
  readonly executable: string;
  /** The PATH that git and its helpers are looked up in. */
  readonly searchPath: string;
  readonly knownHosts: KnownHosts;
  /** The file of the certificate authorities that https servers are checked by; null for the machine's list. */
  readonly authorities: string | null;
  readonly network: Network;
}

/** What the calls of git for one build share. */
export interface GitHome {
  /** Git's HOME, a folder that nobody else may read. */
  readonly home: string;
  /** The file of the build's key, written when it is first asked for. */
  readonly keyFile: () => Promise<string>;
  readonly signal: AbortSignal;
}

/** A home for one build, in a folder that is there and empty, and goes with its key when git is done with it. */
export function openHome(home: string, key: string, signal: AbortSignal, access: GitAccess): GitHome {
  const { limits, searchPath } = access;
  let keyFile: Promise<string> | null = null;
  return {
    home,
    signal,
    keyFile: () =>
      (keyFile ??= writeKey(key, home, (...args) =>
        runGit(args, {
          executable: 'ssh-keygen',
          cwd: home,
          env: { PATH: searchPath, HOME: home, LC_ALL: 'C' },
          signal,
          silenceMs: limits.gitSilenceMs,
          outputKept: limits.gitOutputKept,
          // What it says of a key that is wrong is for `writeKey` to put into words.
          onLine: () => undefined,
        }),
      )),
  };
}

/**
 * What git runs in to reach a remote, with the addresses that it may connect to. Throws a BuildError `gitfailure` when the host has none, or
 * the key is of no use.
 */
export async function environmentOf(
  remote: Remote,
  { home, keyFile, signal }: GitHome,
  { network, knownHosts, authorities, searchPath, limits }: GitAccess,
): Promise<Record<string, string>> {
  const { guard, proxies } = network;
  const proxy = remote.protocol === 'http' ? proxyFor(new URL(remote.url), proxies) : null;
  let found: readonly HostAddress[] | null;
  try {
    found = await resolveHost(remote.host, proxy, guard, signal);
  } catch (error) {
    signal.throwIfAborted();
    const why =
      error instanceof ForbiddenAddress
        ? error.message
        : `the host ${remote.host} could not be found (${codeOf(error)})`;
    throw new BuildError('gitfailure', `${remote.url}: ${why}`, { cause: error });
  }
  const addresses = found?.map((each) => each.address) ?? null;
  const ssh =
    remote.protocol === 'ssh'
      ? sshCommand(remote, addresses?.[0] ?? remote.host, await keyFile(), { knownHosts, limits })
      : null;
  const pinned = ssh === null && isIP(remote.host) === 0 ? addresses : null;
  return gitEnvironment(remote, home, searchPath, limits, { ssh, proxy, authorities, addresses: pinned });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
