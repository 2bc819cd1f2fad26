import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import { BuildError } from '../../src/contract/build-errors.ts';
import { extensionNames, type ExtensionName } from '../../src/contract/extensions.ts';
import { createBuilder } from '../../src/worker/builder.ts';
import type { Clock } from '../../src/worker/clock.ts';
import type { Disk } from '../../src/worker/disk/disk.ts';
import type { Engine, EngineCall } from '../../src/worker/engine/engine.ts';
import { createForsakenTries } from '../../src/worker/link/enlisting.ts';
import {
  enterpriseRetryDelay,
  hostedRetryDelay,
  resumeRetryDelay,
} from '../../src/worker/link/reconnecting.ts';
import type { Ticket } from '../../src/worker/link/session.ts';
import type { TlsPaths } from '../../src/worker/link/tls.ts';
import { createSecretKeeper } from '../../src/worker/secrets.ts';
import { runSlot, type SlotEnd } from '../../src/worker/slot.ts';
import type { Entitlement } from '../../src/worker/entitlements.ts';
import type { FetchedSource, FetchSource } from '../../src/worker/source/source.ts';
import { openWorkDirectory } from '../../src/worker/work-directory.ts';
import type { TestManager } from './test-manager.ts';

/** So many times as fast as time is: a busy machine still does not miss what the worker waits for. */
const FASTER = 10;

/** Time that runs faster, so that nobody waits for a worker that does. */
export const fastClock: Clock = {
  now: () => performance.now() * FASTER,
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms / FASTER);
    return () => clearTimeout(timer);
  },
};

export const DIGEST = `sha256:${'a'.repeat(64)}`;

/** An engine on which all goes well; a test replaces what it is about. */
export function calmEngine(parts: Partial<Engine> = {}): Engine {
  return {
    describe: () => Promise.resolve({ name: 'calm', version: '1', builder: 'classic' }),
    pull: () => Promise.resolve(),
    build: () => Promise.resolve({ imageId: 'sha256:image' }),
    inspect: () => Promise.resolve({ imageId: 'sha256:base', platform: 'linux/amd64' }),
    triggers: () => Promise.resolve([]),
    tag: () => Promise.resolve(),
    push: () => Promise.resolve({ digest: DIGEST }),
    untag: () => Promise.resolve(),
    ...parts,
  };
}

/** A disk with room for everything, of which nobody keeps account. */
function boundlessDisk(engine: Engine): Disk {
  return {
    begin: () => ({ engine, end: () => Promise.resolve() }),
    examine: () => Promise.resolve(null),
    sweep: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** An engine whose build goes on until it is stopped; `begun` resolves when it runs. */
export function endlessEngine(): { engine: Engine; begun: Promise<EngineCall>; stopped: Promise<unknown> } {
  const begun = Promise.withResolvers<EngineCall>();
  const stopped = Promise.withResolvers<unknown>();
  const engine = calmEngine({
    build: (_build, call) => {
      begun.resolve(call);
      return new Promise((_resolve, reject) => {
        call.signal.addEventListener('abort', () => {
          stopped.resolve(call.signal.reason);
          reject(call.signal.reason as Error);
        });
      });
    },
  });
  return { engine, begun: begun.promise, stopped: stopped.promise };
}

export const scratchSource: FetchedSource = {
  contextDirectory: '/nowhere',
  dockerfile: '/nowhere/Dockerfile',
  base: { reference: 'scratch', registry: 'docker.io', name: 'scratch', tag: 'latest' },
  images: [],
  uncertain: false,
  mayNameMore: false,
};

/** What a manager asks for, when only the phases matter. */
export const someBuild = {
  build_package: 'http://127.0.0.1:1/context.tar.gz',
  context: '/',
  dockerfile_path: 'Dockerfile',
  repository: 'team/app',
  registry: '127.0.0.1:5055',
  pull_token: 'PULL-TOKEN-0123456789',
  push_token: 'PUSH-TOKEN-0123456789',
  tag_names: ['latest'],
  base_image: {},
};

export interface HarnessOptions {
  readonly manager: Pick<TestManager, 'url'>;
  readonly engine?: Engine;
  readonly fetchSource?: FetchSource;
  readonly extensions?: readonly ExtensionName[];
  /** Hosted, in this realm. */
  readonly realm?: string;
  readonly token?: string;
  readonly ticket?: Ticket;
  /** The system's authorities when absent. */
  readonly tls?: TlsPaths;
  readonly clock?: Clock;
  readonly ociLabels?: boolean;
  readonly logSpoolMaxBytes?: number;
  readonly entitlements?: readonly Entitlement[];
  /** Where `WORK_DIR` is made; the system's temporary folder when absent. */
  readonly workRoot?: string;
  /** Boundless when absent. `directory` is the worker's own folder. */
  readonly disk?: (engine: Engine, directory: string, logger: Logger) => Disk;
}

export interface RunningWorker extends AsyncDisposable {
  readonly workDirectory: string;
  /** Everything that its own log says. */
  log(): string;
  /** Resolves when its own log has said this. */
  logged(text: string): Promise<void>;
  /** Asks it to leave. */
  leave(): void;
  /** Tells it to leave now, as a second SIGTERM does. */
  interrupt(): void;
  readonly ended: Promise<SlotEnd>;
}

/** A worker of one slot, in this process, its own log kept. */
export async function startWorker(options: HarnessOptions): Promise<RunningWorker> {
  const root = await mkdtemp(join(options.workRoot ?? tmpdir(), 'quay-builder-test-'));
  const secrets = createSecretKeeper();
  let said = '';
  const looks = new Set<() => void>();
  const logger = pino(
    { level: 'debug', hooks: { streamWrite: (line) => secrets.mask(line) } },
    {
      write: (line: string) => {
        said += line;
        for (const look of looks) look();
      },
    },
  );
  const engine = options.engine ?? calmEngine();
  const workDirectory = await openWorkDirectory(root, 'test');
  const builder = createBuilder({
    engine,
    disk: options.disk?.(engine, workDirectory.path, logger) ?? boundlessDisk(engine),
    fetchSource: options.fetchSource ?? (() => Promise.resolve(scratchSource)),
    workDirectory,
    ociLabels: options.ociLabels ?? false,
    logSpoolMaxBytes: options.logSpoolMaxBytes ?? 2 ** 20,
    entitlements: new Set(options.entitlements),
    pushTo: [],
    secrets,
    clock: options.clock ?? fastClock,
    newId: randomUUID,
    logger,
  });
  const leaving = new AbortController();
  const realm = options.realm ?? null;
  const ended = runSlot(
    {
      endpoint: options.manager.url,
      tls: options.tls ?? { ca: null, certificate: null, key: null, serverName: null },
      realm,
      token: options.token ?? '',
      ticket: options.ticket ?? null,
      offer: {
        extensions: [...(options.extensions ?? extensionNames)],
        worker: { id: 'test', slot: 0, slots: 1, labels: {}, kinds: ['image'] },
      },
      forsaken: createForsakenTries(),
      builder,
      resumeDelay: resumeRetryDelay(() => 1),
      onStanding: () => undefined,
      retryDelay: realm === null ? enterpriseRetryDelay(() => 1) : hostedRetryDelay,
      clock: options.clock ?? fastClock,
      logger,
    },
    leaving.signal,
  );
  return {
    workDirectory: join(root, 'test'),
    log: () => said,
    logged: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!said.includes(text)) return;
          looks.delete(look);
          resolve();
        };
        looks.add(look);
        look();
      }),
    leave: () => leaving.abort(),
    interrupt: () => {
      leaving.abort();
      void builder.stop(new BuildError('internalerror', 'The worker was stopped by its operator.'));
    },
    ended,
    [Symbol.asyncDispose]: async () => {
      leaving.abort();
      await ended;
      await rm(root, { recursive: true });
    },
  };
}
