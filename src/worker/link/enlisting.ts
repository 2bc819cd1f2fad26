import { cancelEventSchema, type WorkerOffer } from '../../contract/extensions.ts';
import {
  CONTRACT_VERSION,
  managerProcedures,
  REGISTRATION_REALM,
  topics,
  workerProcedures,
} from '../../contract/uris.ts';
import type { Clock } from '../clock.ts';
import { HEARTBEAT_EVERY_MS, JOIN_STEP_WITHIN_MS } from '../limits.ts';
import { type Answer, joinRealm, LinkError, type RealmSession } from './session.ts';
import type { Transport } from './transport.ts';

/** The manager answered `ready` with false: wrong version, wrong token, or the realm has a worker already. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError';
}

export interface Enlisting {
  /** The realm allocated for one build; null asks the manager for one (enterprise). */
  readonly realm: string | null;
  /** Proof that a hosted worker may take its build; enterprise sends `""`. */
  readonly token: string;
  readonly offer: WorkerOffer;
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
  { realm, token, offer, onBuild, onCancel }: Enlisting,
  clock: Clock,
): Promise<RealmSession> {
  const session = await joinRealm(transport, realm ?? (await requestRealm(transport, clock)), offer, clock);
  await session.call(managerProcedures.ping, undefined, JOIN_STEP_WITHIN_MS);
  await session.register(workerProcedures.build, (kwargs) => onBuild(session, kwargs));
  if (session.accepted.has('cancel')) {
    await session.subscribe(topics.cancel, (kwargs) => {
      onCancel(cancelEventSchema.safeParse(kwargs).data?.reason ?? 'cancelled');
    });
  }
  startHeartbeat(session, clock);
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

/** Enterprise: asks for a realm of its own, and leaves `registration` on the same connection. */
async function requestRealm(transport: Transport, clock: Clock): Promise<string> {
  const session = await joinRealm(transport, REGISTRATION_REALM, null, clock);
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
