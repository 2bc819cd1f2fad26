import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import {
  extensionNames,
  leaseClaimSchema,
  logBatchSchema,
  resultReportSchema,
  workerOfferSchema,
  type ExtensionName,
  type ResultReport,
  type ResumeRequest,
  type WorkerOffer,
} from '../../contract/extensions.ts';
import { logMessageSchema } from '../../contract/log-messages.ts';
import { CONTRACT_VERSION, managerProcedures, topics, workerProcedures } from '../../contract/uris.ts';
import type { RealmStore, ResumedTry } from '../../store/index.ts';
import {
  WampError,
  type Action,
  type Authentication,
  type Hello,
  type ProcedureHandler,
  type Realm,
  type RealmPolicy,
  type Session,
} from '../../wamp/index.ts';
import { REALM_KEEP_SECONDS } from '../limits.ts';
import { hashSecret } from '../secrets/tokens.ts';
import type { Resumption } from './resumption.ts';
import { SlotConnection, type WorkerRealm } from './slot-connection.ts';
import type { BuildAnswer } from './slot.ts';

export interface WorkerRealmDependencies {
  readonly realms: Pick<RealmStore, 'markJoined'>;
  /** null: no worker may come back with its build. */
  readonly resumption: Resumption | null;
  readonly onReady: (slot: SlotConnection) => void;
  /** A worker came back with its build. */
  readonly onResumed: (slot: SlotConnection, resumed: ResumedTry) => void;
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
  resumption,
  onReady,
  onResumed,
  onGone,
  logger,
  now,
}: WorkerRealmDependencies): RealmPolicy<WorkerRealm> {
  /** What was found for a HELLO, by its authextra, until its session has joined. */
  const resuming = new WeakMap<object, ResumedTry>();
  const accepted = ({ worker, extensions }: WorkerOffer): ExtensionName[] =>
    worker ? extensionNames.filter((name) => extensions.includes(name) && isOffered(name, extensions)) : [];
  const isOffered = (name: ExtensionName, offered: readonly ExtensionName[]): boolean =>
    name !== 'resume' || (resumption !== null && offered.includes('log-batch'));

  const connect = (session: Session<WorkerRealm>): SlotConnection => {
    const offer = offerOf(session.authextra);
    const worker = offer.worker ?? unnamedWorker(session.realm.name);
    return new SlotConnection(session, worker, accepted(offer), now);
  };

  const authenticate = (
    hello: Hello,
    realm: Realm<WorkerRealm>,
  ): Authentication | Promise<Authentication> => {
    const { resume, ...offer } = offerOf(hello.authextra);
    const extensions = accepted(offer);
    if (resume && resumption && extensions.includes('resume')) {
      return authenticateResumed(resumption, hello, realm, resume, extensions);
    }
    return extensions.length === 0 ? { type: 'accept' } : { type: 'accept', authextra: { extensions } };
  };

  const authenticateResumed = async (
    { resume }: Resumption,
    { authextra }: Hello,
    { name }: Realm<WorkerRealm>,
    request: ResumeRequest,
    extensions: readonly ExtensionName[],
  ): Promise<Authentication> => {
    const found = await resume(request, name);
    if ('uri' in found) {
      logger.info(
        { build: request.build, try: request.try, reason: found.message },
        'a build could not be resumed',
      );
      return { type: 'refuse', ...found };
    }
    if (request.last_seq > found.lastMessageSeq) {
      const fields = {
        build: request.build,
        try: request.try,
        stored: found.lastMessageSeq,
        said: request.last_seq,
      };
      logger.warn(fields, 'log messages that a worker knew to be stored are missing');
    }
    resuming.set(authextra, found);
    return { type: 'accept', authextra: { extensions, resume: { last_seq: found.lastMessageSeq } } };
  };

  /** The one that comes back displaces whoever is there: its own connection from before, which we may not know to be gone. */
  const joined = (session: Session<WorkerRealm>): void => {
    const resumed = resuming.get(session.authextra);
    if (!resumed) return;
    for (const other of session.realm.sessions.values()) {
      if (other !== session)
        other.abort('wamp.close.killed', 'the worker has come back over another connection');
    }
    const slot = connect(session);
    session.realm.data.slot = slot;
    onResumed(slot, resumed);
  };

  /** Whether this worker may have builds from now on. `false`: wrong version, wrong token, or the realm has a worker already. */
  const ready = async (caller: Session<WorkerRealm>, kwargs: unknown): Promise<boolean> => {
    const { realm } = caller;
    const { slot, tokenHash } = realm.data;
    if (slot) return slot.session === caller && !slot.isCancelled;
    const given = readySchema.safeParse(kwargs);
    if (!given.success || given.data.version !== CONTRACT_VERSION || !isToken(given.data.token, tokenHash)) {
      logger.warn(
        { address: caller.transport.address },
        'a worker with a wrong token or version was refused',
      );
      return false;
    }
    const connection = connect(caller);
    // Taken before the store is asked, so that two calls at once cannot both win.
    realm.data.slot = connection;
    let isJoined = false;
    try {
      const worker = { id: connection.worker.id, address: hostOf(caller.transport.address) };
      isJoined = await realms.markJoined(realm.name, worker, REALM_KEEP_SECONDS);
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
      [
        managerProcedures.result,
        async (_args, kwargs, { realm, caller }) => {
          const answer = answerOf(valid(resultReportSchema, kwargs));
          return { args: [(await slotOf(realm.data, caller)?.report(answer)) ?? false] };
        },
      ],
      [
        managerProcedures.forsake,
        async (_args, kwargs) => {
          const claim = valid(leaseClaimSchema, kwargs);
          return { args: [(await resumption?.forsake(claim)) ?? false] };
        },
      ],
    ]),
    // A heartbeat says nothing but that a frame came, which the session knows.
    topics: new Map([[topics.heartbeat, () => undefined]]),
    authenticate,
    joined,
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

function answerOf(report: ResultReport): BuildAnswer {
  return 'error' in report
    ? { type: 'error', uri: report.error, baseError: report.base_error }
    : { type: 'result', kwargs: report.result };
}

const UNNAMED = { slot: 0, slots: 1, labels: {}, kinds: ['image'] } satisfies Partial<WorkerOffer['worker']>;

/** Deployed workers have no name. The realm is a secret, so its hash serves. */
function unnamedWorker(realm: string): NonNullable<WorkerOffer['worker']> {
  const name = createHash('sha256').update(realm).digest('hex').slice(0, 8);
  return { ...UNNAMED, id: `unnamed-${name}` };
}

function valid<T>(schema: z.ZodType<T>, kwargs: unknown): T {
  const parsed = schema.safeParse(kwargs);
  if (parsed.success) return parsed.data;
  throw new WampError('wamp.error.invalid_argument', [z.prettifyError(parsed.error)]);
}

/** An address without its port. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, '');
}
