import { randomUUID } from 'node:crypto';
import pino from 'pino';
import type { LabDatabaseServer } from '../../../lab/database.ts';
import type { LogRecord } from '../../../src/contract/api.ts';
import {
  openStore,
  type BlobStore,
  type Claim,
  type ClaimRequest,
  type ExpiryRules,
  type HandOver,
  type NewBuild,
  type Store,
  type WakeUp,
} from '../../../src/store/index.ts';

export const log = pino({ level: 'silent' });

export type TestStore = Store & AsyncDisposable & { readonly url: string };

/** For stores whose finished logs nobody packs. */
export const noBlobs = new Proxy({} as BlobStore, {
  get: (_target, name) => {
    throw new Error(`This store has no blobs: ${String(name)}.`);
  },
});

/** A store on a database of its own, or on the one that is named. */
export async function openTestStore(
  server: LabDatabaseServer,
  url?: string,
  blobs: BlobStore = noBlobs,
  now: () => Date = () => new Date(),
): Promise<TestStore> {
  const databaseUrl = url ?? (await server.createDatabase()).url;
  const store = await openStore({ databaseUrl, dataDirectory: '', blobs, log, now });
  return { ...store, url: databaseUrl, [Symbol.asyncDispose]: () => store.close() };
}

/** Whatever ran out expires at once. */
export const expireAtOnce: ExpiryRules = {
  graceSeconds: 0,
  resumeSeconds: 0,
  workerAway: { code: 'internalerror', message: 'm', help: 'h', base_error: 'the worker is away' },
  managerGone: { code: 'internalerror', message: 'm', help: 'h', base_error: 'the manager is gone' },
};

/** Who joins a realm. */
export const joining = { id: 'worker-1', address: '192.0.2.9' };

/** What bounds a try that nothing should end. */
export const longLimits: HandOver = {
  resumeHash: null,
  timeoutSeconds: 3600,
  silenceSeconds: 3600,
  marginSeconds: 0,
  lifeReserveSeconds: 0,
};

export function newBuild(overrides: Partial<NewBuild> = {}): NewBuild {
  return {
    id: randomUUID(),
    kind: 'image',
    spec: { context: '' },
    secrets: null,
    namespace: 'team',
    repository: 'team/app',
    registry: 'registry.example:5000',
    tagNames: ['latest'],
    submittedBy: 'alice',
    ...overrides,
  };
}

export function claimRequest(overrides: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    manager: 'manager-1',
    worker: { id: 'worker-1', slot: 0, realm: 'realm-1' },
    kinds: ['image'],
    extensions: [],
    leaseSeconds: 300,
    ...overrides,
  };
}

/** Submits a build and claims it. */
export async function claimNew(
  store: Store,
  build: Partial<NewBuild> = {},
  request: Partial<ClaimRequest> = {},
): Promise<Claim> {
  await store.builds.submit(newBuild(build));
  return claimed(await store.leases.claim(claimRequest(request)));
}

export function claimed<C extends Claim>(claim: C | null): C {
  if (!claim) throw new Error('Nothing was claimed.');
  return claim;
}

export function record(seq: number, text = `line ${seq}\n`): LogRecord {
  return {
    try: 1,
    seq,
    time: '2026-01-02T03:04:05.678Z',
    phase: 'building',
    step: 1,
    stream: 'output',
    text,
  };
}

/** Resolves with the first wake-up that fits, from now on. */
export function nextWakeUp(store: Store, fits: (event: WakeUp) => boolean): Promise<WakeUp> {
  return new Promise((resolve) => {
    const unsubscribe = store.wakeUps.subscribe((event) => {
      if (!fits(event)) return;
      unsubscribe();
      resolve(event);
    });
  });
}
