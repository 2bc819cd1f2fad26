import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import {
  extensionNames,
  logBatchSchema,
  workerOfferSchema,
  type ExtensionName,
  type WorkerOffer,
} from '../../contract/extensions.ts';
import { logMessageSchema } from '../../contract/log-messages.ts';
import { CONTRACT_VERSION, managerProcedures, topics, workerProcedures } from '../../contract/uris.ts';
import type { RealmStore } from '../../store/index.ts';
import {
  WampError,
  type Action,
  type ProcedureHandler,
  type RealmPolicy,
  type Session,
} from '../../wamp/index.ts';
import { REALM_KEEP_SECONDS } from '../limits.ts';
import { hashSecret } from '../secrets/tokens.ts';
import { createSlotConnection, type SlotConnection, type WorkerRealm } from './slot-connection.ts';

export interface WorkerRealmDependencies {
  readonly realms: Pick<RealmStore, 'markJoined'>;
  readonly onReady: (slot: SlotConnection) => void;
  readonly onGone: (slot: SlotConnection) => void;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  readonly now: () => number;
}

const readySchema = z.object({ token: z.string().default(''), version: z.string() });
const ALLOWED: Readonly<Record<Action, ReadonlySet<string>>> = {
  call: new Set(Object.values(managerProcedures).filter((uri) => uri !== managerProcedures.register)),
  register: new Set([workerProcedures.build]),
  publish: new Set([topics.heartbeat]),
  subscribe: new Set([topics.cancel]),
};

/** What holds in every worker's realm: who may say what, and what it is answered. */
export function workerRealmPolicy({
  realms,
  onReady,
  onGone,
  logger,
  now,
}: WorkerRealmDependencies): RealmPolicy<WorkerRealm> {
  /** Whether this worker may have builds from now on. `false`: wrong version, wrong token, or the realm has a worker already. */
  const ready = async (caller: Session<WorkerRealm>, kwargs: unknown): Promise<boolean> => {
    const { realm } = caller;
    const { slot, tokenHash } = realm.data;
    if (slot) return slot.session === caller;
    const given = readySchema.safeParse(kwargs);
    if (!given.success || given.data.version !== CONTRACT_VERSION || !isToken(given.data.token, tokenHash)) {
      logger.warn(
        { address: caller.transport.address },
        'a worker with a wrong token or version was refused',
      );
      return false;
    }
    const offer = offerOf(caller.details['authextra']);
    const connection = createSlotConnection(
      caller,
      offer.worker ?? unnamedWorker(realm.name),
      accepted(offer),
      now,
    );
    // Taken before the store is asked, so that two calls at once cannot both win.
    realm.data.slot = connection;
    let isJoined = false;
    try {
      isJoined = await realms.markJoined(realm.name, REALM_KEEP_SECONDS);
    } finally {
      if (!isJoined && realm.data.slot === connection) realm.data.slot = null;
    }
    // Its connection may have gone while the store was asked.
    if (realm.data.slot !== connection) return false;
    onReady(connection);
    return true;
  };

  return {
    procedures: new Map<string, ProcedureHandler<WorkerRealm>>([
      [managerProcedures.ping, () => ({ args: ['pong'] })],
      [
        managerProcedures.ready,
        async (_args, kwargs, { caller }) => ({ args: [caller !== null && (await ready(caller, kwargs))] }),
      ],
      [
        managerProcedures.determineCacheTag,
        async (_args, _kwargs, { realm, caller }) => ({
          args: [(await slotOf(realm.data, caller)?.cacheTag()) ?? ''],
        }),
      ],
      [
        managerProcedures.logMessage,
        async (_args, kwargs, { realm, caller }) => {
          const { phase, json_data } = valid(logMessageSchema, kwargs);
          return { args: [(await slotOf(realm.data, caller)?.message(phase, json_data)) ?? false] };
        },
      ],
      [
        managerProcedures.logBatch,
        async (_args, kwargs, { realm, caller }) => {
          const batch = valid(logBatchSchema, kwargs);
          return { args: [(await slotOf(realm.data, caller)?.batch(batch)) ?? false] };
        },
      ],
    ]),
    // A heartbeat says nothing but that a frame came, which the session knows.
    topics: new Map([[topics.heartbeat, () => undefined]]),
    authenticate: ({ authextra }) => {
      const extensions = accepted(offerOf(authextra));
      return extensions.length === 0 ? { type: 'accept' } : { type: 'accept', authextra: { extensions } };
    },
    authorize: (_session, action, uri) => {
      if (ALLOWED[action].has(uri)) return true;
      const isOurs = action === 'register' && ALLOWED.call.has(uri);
      return isOurs ? 'wamp.error.procedure_already_exists' : false;
    },
    left: (session) => {
      const slot = slotOf(session.realm.data, session);
      if (slot === null) return;
      session.realm.data.slot = null;
      slot.lose();
      onGone(slot);
    },
    forgetWhenEmpty: () => true,
  };
}

function slotOf(realm: WorkerRealm, caller: Session<WorkerRealm> | null): SlotConnection | null {
  return realm.slot !== null && realm.slot.session === caller ? realm.slot : null;
}

/** A hosted worker shows the token its realm was allocated with; an enterprise worker sends `""`. */
function isToken(token: string, tokenHash: Uint8Array | null): boolean {
  return tokenHash === null ? token === '' : timingSafeEqual(hashSecret(token), tokenHash);
}

/** What a worker offers in HELLO; a deployed one, or one whose offer we cannot read, offers nothing. */
function offerOf(authextra: unknown): WorkerOffer {
  const offer = workerOfferSchema.safeParse(authextra ?? {});
  return offer.success ? offer.data : { extensions: [] };
}

function accepted({ worker, extensions }: WorkerOffer): ExtensionName[] {
  return worker ? extensionNames.filter((name) => extensions.includes(name)) : [];
}

/** Deployed workers have no name. The realm is a secret, so its hash serves. */
function unnamedWorker(realm: string): NonNullable<WorkerOffer['worker']> {
  const name = createHash('sha256').update(realm).digest('hex').slice(0, 8);
  return { id: `unnamed-${name}`, slot: 0, slots: 1, labels: {}, kinds: ['image'] };
}

function valid<T>(schema: z.ZodType<T>, kwargs: unknown): T {
  const parsed = schema.safeParse(kwargs);
  if (parsed.success) return parsed.data;
  throw new WampError('wamp.error.invalid_argument', [z.prettifyError(parsed.error)]);
}
