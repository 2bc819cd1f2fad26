import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GitAccess } from '../../../src/contract/git/access.ts';
import { createAddressGuard } from '../../../src/contract/network/addresses.ts';
import { noProxies } from '../../../src/contract/network/proxies.ts';
import { createRefResolver, type ResolveRef } from '../../../src/manager/submission/resolve-ref.ts';
import { createTurns } from '../../../src/manager/submission/turns.ts';

export interface TestRefResolver extends AsyncDisposable {
  readonly resolveRef: ResolveRef;
  /** Where git works. */
  readonly directory: string;
  /** The host keys that were trusted. */
  readonly trustedFile: string;
  /** What lies in the folders of git; nothing, unless it runs. */
  left(): Promise<string[]>;
}

export interface TestRefResolverOptions {
  readonly access?: Partial<Omit<GitAccess, 'limits'>>;
  readonly limits?: Partial<GitAccess['limits']>;
  readonly atOnce?: number;
  readonly waitingMax?: number;
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
}

/** A resolver of refs with a folder of its own. */
export async function startRefResolver(options: TestRefResolverOptions = {}): Promise<TestRefResolver> {
  const root = await mkdtemp(join(tmpdir(), 'quay-refs-test-'));
  const directory = join(root, 'git');
  const trustedFile = join(root, 'known_hosts');
  await mkdir(directory, { mode: 0o700 });
  const resolveRef = createRefResolver({
    directory,
    withinMs: options.withinMs ?? 20_000,
    signal: options.signal ?? new AbortController().signal,
    turns: createTurns({ atOnce: options.atOnce ?? 4, waitingMax: options.waitingMax ?? 16, waitMs: 30_000 }),
    access: {
      executable: 'git',
      searchPath: process.env['PATH'] ?? '',
      knownHosts: { file: trustedFile, pinned: false },
      authorities: null,
      network: { guard: createAddressGuard('all'), proxies: noProxies },
      ...options.access,
      limits: {
        connectMs: 10_000,
        stallMs: 10_000,
        gitSilenceMs: 20_000,
        gitOutputKept: 1_000_000,
        redirects: 3,
        ...options.limits,
      },
    },
  });
  return {
    resolveRef,
    directory,
    trustedFile,
    left: () => readdir(directory),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}
