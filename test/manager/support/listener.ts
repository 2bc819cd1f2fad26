import { pino } from 'pino';
import type { LabDatabaseServer } from '../../../lab/database.ts';
import type { SlotConnection } from '../../../src/manager/realms/slot-connection.ts';
import {
  startWorkerListener,
  type WorkerListenerOptions,
} from '../../../src/manager/realms/worker-listener.ts';
import { openTestStore, type TestStore } from '../../store/support/store.ts';

/** The manager's WAMP side on a database of its own, without scheduling: what becomes ready is remembered. */
export interface TestListener extends AsyncDisposable {
  readonly url: string;
  readonly store: TestStore;
  /** The slots that are ready now. */
  readonly ready: ReadonlySet<SlotConnection>;
  /** What was refused or dropped, by kind. */
  readonly drops: readonly string[];
  /** Everything that was logged so far, as JSON lines. */
  logged(): string;
}

export async function startTestListener(
  database: LabDatabaseServer,
  overrides: Partial<WorkerListenerOptions> = {},
): Promise<TestListener> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openTestStore(database));
  const ready = new Set<SlotConnection>();
  const drops: string[] = [];
  let logged = '';
  const listener = await startWorkerListener({
    address: { host: '127.0.0.1', port: 0 },
    tls: null,
    registrationsPerMinute: 600,
    wrongTicketsPerMinute: 60,
    unknownRealmsPerMinute: 600,
    connectionsPerAddress: 1024,
    realms: store.realms,
    registration: 'open',
    resumption: null,
    onReady: (slot) => ready.add(slot),
    onResumed: () => undefined,
    onGone: (slot) => ready.delete(slot),
    onDrop: (drop) => drops.push(drop),
    onRefused: () => undefined,
    onShutOut: () => undefined,
    logger: pino({ level: 'debug' }, { write: (line) => (logged += line) }),
    now: Date.now,
    ...overrides,
  });
  stack.defer(() => listener.close());
  const started = stack.move();
  return {
    url: `${overrides.tls ? 'wss' : 'ws'}://127.0.0.1:${listener.address.port}`,
    store,
    ready,
    drops,
    logged: () => logged,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
