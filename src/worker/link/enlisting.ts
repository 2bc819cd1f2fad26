import {
  cancelEventSchema,
  type LeaseClaim,
  resumeRefusals,
  type WorkerOffer,
} from '../../contract/extensions.ts';
import {
  CONTRACT_VERSION,
  managerProcedures,
  REGISTRATION_REALM,
  topics,
  workerProcedures,
} from '../../contract/uris.ts';
import type { Clock } from '../clock.ts';
import { HEARTBEAT_EVERY_MS, JOIN_STEP_WITHIN_MS } from '../limits.ts';
import type { ResumableLink } from './build-link.ts';
import {
  type Answer,
  CallError,
  joinRealm,
  LinkError,
  RealmRefusedError,
  type RealmSession,
  type Ticket,
} from './session.ts';
import type { Transport } from './transport.ts';

/** The manager answered `ready` with false: wrong version, wrong token, or the realm has a worker already. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError';
}

/** The manager does not take a worker back with its build (extension `resume`). */
export class ResumeRefusedError extends Error {
  override readonly name = 'ResumeRefusedError';
  readonly isCancelled: boolean;

  constructor(reason: string, isCancelled: boolean) {
    super(reason);
    this.isCancelled = isCancelled;
  }
}

/** The tries that this worker began and will not go on with, until a manager was told so. */
export interface ForsakenTries {
  add(lease: LeaseClaim): void;
  /** Takes them all out. */
  take(): LeaseClaim[];
}

export function createForsakenTries(): ForsakenTries {
  const leases: LeaseClaim[] = [];
  return {
    add: (lease) => void leases.push(lease),
    take: () => leases.splice(0),
  };
}

export interface Enlisting {
  /** The realm allocated for one build; null asks the manager for one (enterprise). */
  readonly realm: string | null;
  /** Proof that a hosted worker may take its build; enterprise sends `""`. */
  readonly token: string;
  /** By which an enterprise worker registers, where the manager asks for it. */
  readonly ticket: Ticket | null;
  readonly offer: WorkerOffer;
  readonly forsaken: ForsakenTries;
  /** Runs a build. It may be invoked before the manager has answered `ready`. */
  readonly onBuild: (session: RealmSession, kwargs: unknown) => Promise<Answer>;
  readonly onCancel: (reason: string) => void;
}

/**
 * Brings a worker from an open connection to where it is given builds (contract 0.3, "Connecting", 2 to 7).
 * Throws RealmRefusedError, NotReadyError, CallError or LinkError; the connection is then of no use.
 */
export async function enlist(
  transport: Transport,
  { realm, token, ticket, offer, forsaken, onBuild, onCancel }: Enlisting,
  clock: Clock,
): Promise<RealmSession> {
  const own = realm ?? (await requestRealm(transport, ticket, clock));
  const session = await joinRealm(transport, own, offer, clock);
  await session.call(managerProcedures.ping, undefined, JOIN_STEP_WITHIN_MS);
  await session.register(workerProcedures.build, (kwargs) => onBuild(session, kwargs));
  await listenForCancel(session, onCancel);
  startHeartbeat(session, clock);
  if (session.accepted.has('resume')) await forsake(session, forsaken);
  const ready = await session.call(
    managerProcedures.ready,
    { token, version: CONTRACT_VERSION },
    JOIN_STEP_WITHIN_MS,
  );
  if (ready !== true) {
    throw new NotReadyError(
      'the manager will not have this worker: wrong token or version, or the realm is taken',
    );
  }
  return session;
}

/**
 * Brings a worker that lost its connection back into its realm, with its build (extension `resume`). Throws ResumeRefusedError
 * when the manager will never have it back; RealmRefusedError, CallError or LinkError when another attempt may help.
 */
export async function rejoin(
  transport: Transport,
  link: ResumableLink,
  { offer, onCancel }: Pick<Enlisting, 'offer' | 'onCancel'>,
  clock: Clock,
): Promise<RealmSession> {
  const resume = { ...link.lease, last_seq: link.lastStored };
  const session = await joinRealm(transport, link.realm, { ...offer, resume }, clock).catch(
    (error: unknown) => {
      throw error instanceof RealmRefusedError && FINAL_REFUSALS.has(error.uri)
        ? new ResumeRefusedError(error.message, error.uri === resumeRefusals.cancelled)
        : error;
    },
  );
  if (session.lastStored === null) {
    await session.leave('wamp.close.normal');
    throw new ResumeRefusedError('the manager knows nothing of resuming a build', false);
  }
  await listenForCancel(session, onCancel);
  startHeartbeat(session, clock);
  // Cancelled after it took us back and before we could hear of it?
  const goesOn = await session.call(
    managerProcedures.ready,
    { token: '', version: CONTRACT_VERSION },
    JOIN_STEP_WITHIN_MS,
  );
  if (goesOn !== true) throw new ResumeRefusedError('the build was cancelled', true);
  link.resume(session);
  return session;
}

/** A realm that has expired is one that the try has ended in, too. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  ...Object.values(resumeRefusals),
  'wamp.error.no_such_realm',
]);

async function listenForCancel(session: RealmSession, onCancel: Enlisting['onCancel']): Promise<void> {
  if (!session.accepted.has('cancel')) return;
  await session.subscribe(topics.cancel, (kwargs) => {
    onCancel(cancelEventSchema.safeParse(kwargs).data?.reason ?? 'cancelled');
  });
}

/** Tells the manager of tries that will not be resumed, so that it need not wait for that. What it refuses runs out by itself. */
async function forsake(session: RealmSession, forsaken: ForsakenTries): Promise<void> {
  for (const lease of forsaken.take()) {
    try {
      await session.call(managerProcedures.forsake, lease, JOIN_STEP_WITHIN_MS);
    } catch (error) {
      if (!(error instanceof CallError)) forsaken.add(lease);
    }
  }
}

/** Enterprise: asks for a realm of its own, and leaves `registration` on the same connection. */
async function requestRealm(transport: Transport, ticket: Ticket | null, clock: Clock): Promise<string> {
  const session = await joinRealm(transport, REGISTRATION_REALM, null, clock, ticket);
  const realm = await session.call(managerProcedures.register, undefined, JOIN_STEP_WITHIN_MS);
  if (typeof realm !== 'string' || realm === '') throw new LinkError('the manager gave no realm');
  await session.leave('wamp.close.close_realm');
  return realm;
}

/** The first goes out at once, before `ready`, and then one every second for as long as the session lives. */
function startHeartbeat(session: RealmSession, clock: Clock): void {
  let callOff = (): void => undefined;
  const beat = (): void => {
    session.publish(topics.heartbeat);
    callOff = clock.after(HEARTBEAT_EVERY_MS, beat);
  };
  beat();
  void session.ended.then(() => callOff());
}
