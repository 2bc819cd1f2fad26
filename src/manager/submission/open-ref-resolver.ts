import { access, constants, rm } from 'node:fs/promises';
import { ConfigurationError } from '../../contract/configuration.ts';
import { makeFolders } from '../../contract/folders.ts';
import { createAddressGuard, type PrivateAddresses } from '../../contract/network/addresses.ts';
import type { Proxies } from '../../contract/network/proxies.ts';
import {
  CONNECT_WITHIN_MS,
  LIST_MAX,
  REDIRECTS_MAX,
  REFS_AT_ONCE,
  REFS_WAITING_MAX,
  REFS_WAIT_MS,
  RESOLVE_WITHIN_MS,
  STALL_MS,
} from './limits.ts';
import { createRefResolver, type ResolveRef } from './resolve-ref.ts';
import { createTurns } from './turns.ts';

export interface RefResolverSettings {
  /** The manager's own folder for what git needs while it runs; what a killed manager left in it is removed. */
  readonly directory: string;
  /** The host keys of git over ssh; null trusts the one that a server shows first, and keeps it in `trustedFile`. */
  readonly knownHostsFile: string | null;
  readonly trustedFile: string;
  /** The file of the certificate authorities that git checks https servers by; null for the machine's list. */
  readonly authoritiesFile: string | null;
  readonly privateAddresses: PrivateAddresses;
  readonly proxies: Proxies;
  /** The manager stops: whoever waits for a git server waits no more. */
  readonly signal: AbortSignal;
}

/** Makes the resolver of refs. Throws a ConfigurationError when a file cannot be read, the system's error when its folder cannot be made. */
export async function openRefResolver({
  directory,
  knownHostsFile,
  trustedFile,
  authoritiesFile,
  privateAddresses,
  proxies,
  signal,
}: RefResolverSettings): Promise<ResolveRef> {
  await requireReadable('GIT_KNOWN_HOSTS_FILE', knownHostsFile);
  await requireReadable('GIT_SSL_CAINFO', authoritiesFile);
  await rm(directory, { recursive: true, force: true });
  await makeFolders(directory);
  return createRefResolver({
    directory,
    signal,
    withinMs: RESOLVE_WITHIN_MS,
    turns: createTurns({ atOnce: REFS_AT_ONCE, waitingMax: REFS_WAITING_MAX, waitMs: REFS_WAIT_MS }),
    access: {
      executable: 'git',
      searchPath: process.env['PATH'] ?? '/usr/bin:/bin',
      knownHosts:
        knownHostsFile === null
          ? { file: trustedFile, pinned: false }
          : { file: knownHostsFile, pinned: true },
      authorities: authoritiesFile,
      network: { guard: createAddressGuard(privateAddresses), proxies },
      limits: {
        connectMs: CONNECT_WITHIN_MS,
        stallMs: STALL_MS,
        gitSilenceMs: RESOLVE_WITHIN_MS,
        gitOutputKept: LIST_MAX,
        redirects: REDIRECTS_MAX,
      },
    },
  });
}

async function requireReadable(name: string, path: string | null): Promise<void> {
  if (path === null) return;
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError([`${name}: must be the absolute path of a readable file (${why})`]);
  }
}
