import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { reasonOf } from '../../contract/reason.ts';
import { REGISTRATION_REALM } from '../../contract/uris.ts';
import type { RealmStore } from '../../store/index.ts';
import {
  attachWebSockets,
  createRouter,
  WampError,
  type Drop,
  type Logger,
  type Router,
  type Session,
} from '../../wamp/index.ts';
import type { ListenAddress } from '../listen-address.ts';
import { HANDSHAKE_WITHIN_MS, READY_WITHIN_MS, WORKER_WATCH_MS } from '../limits.ts';
import { listen } from '../listen.ts';
import { keepDoor } from './doorkeeper.ts';
import { readListenerTls, watchListenerTls, type ListenerTlsPaths } from './listener-tls.ts';
import { networkOf } from './network-of.ts';
import { createRateLimit } from './rate-limit.ts';
import type { RegistrationTickets } from './registration-tickets.ts';
import { registrationPolicy, type RegistrationRefusal } from './registration.ts';
import type { SlotConnection, WorkerRealm } from './slot-connection.ts';
import { workerRealmPolicy, type WorkerRealmDependencies } from './worker-realm.ts';

/**
 * Where workers connect (worker contract 0.3, "How a worker is started"). Deployed ones append `/b1/socket` to a `SERVER` as it is, also
 * to one that ends in a slash.
 */
const PATHS = ['/', '/b1/socket', '/b1/socket/', '//b1/socket'];

export interface WorkerListenerOptions extends Omit<WorkerRealmDependencies, 'realms' | 'logger'> {
  readonly address: ListenAddress;
  /** null: without TLS. */
  readonly tls: ListenerTlsPaths | null;
  readonly realms: RealmStore;
  /** Who may ask for a realm: whoever connects, who shows a ticket, or nobody. */
  readonly registration: 'open' | RegistrationTickets | 'off';
  /** From one address. */
  readonly registrationsPerMinute: number;
  /** From one address: how many may be shown before no more are looked at for the rest of the minute. */
  readonly wrongTicketsPerMinute: number;
  /** From one address: HELLOs for realms that there are not, before the store is asked for none that it names for the rest of the minute. */
  readonly unknownRealmsPerMinute: number;
  /** From one address, without a worker that is ready. */
  readonly connectionsPerAddress: number;
  /** Told of what the router drops, and of registrations that are refused. */
  readonly onDrop: (drop: Drop) => void;
  readonly onRefused: (reason: RegistrationRefusal) => void;
  /** Told of each connection that is closed at once, since too many of its address have brought no worker yet. */
  readonly onShutOut: () => void;
  readonly logger: Logger;
}

/** The manager's WAMP side. */
export interface WorkerListener {
  /** Where it listens, the port that was chosen for 0 included. */
  readonly address: ListenAddress;
  /** Open WAMP sessions: workers, and those who are about to be. */
  sessionCount(): number;
  /**
   * Lets nobody in any more, and tells the workers that the manager leaves, but for those whose slot `stays`: they may find another
   * one. May be called again, when fewer are to stay.
   */
  letGo(stays: (slot: SlotConnection) => boolean): void;
  /** Lets go of all that are left, and of every connection. */
  close(): Promise<void>;
}

/**
 * Opens the realms that the store knows to the workers that connect. Fails as `listen` does.
 *
 * @throws ListenerTlsError
 */
export async function startWorkerListener(options: WorkerListenerOptions): Promise<WorkerListener> {
  const { realms, registration, registrationsPerMinute, wrongTicketsPerMinute, unknownRealmsPerMinute } =
    options;
  const { onDrop, onRefused, onShutOut, logger, now } = options;
  const workers = workerRealmPolicy({
    ...options,
    onReady: (slot) => {
      door.letIn(slot.session.transport.address);
      options.onReady(slot);
    },
    onResumed: (slot, resumed) => {
      door.letIn(slot.session.transport.address);
      options.onResumed(slot, resumed);
    },
  });
  const register = registrationPolicy<WorkerRealm>({
    realms,
    tickets: typeof registration === 'string' ? null : registration,
    registrationsPerMinute,
    wrongTicketsPerMinute,
    onRefused,
    logger,
    now,
  });
  const areTooManyUnknown = createRateLimit(unknownRealmsPerMinute, now);
  const wasSaid = createRateLimit(1, now);
  /** A flood shall not flood the log: each thing is said of a place once a minute. */
  const once = (what: string, network: string, message: string): void => {
    if (!wasSaid(`${what} ${network}`)) logger.warn({ address: network }, message);
  };
  const router = createRouter<WorkerRealm>({
    logger,
    onDrop,
    openRealm: async (name, { address }) => {
      if (name === REGISTRATION_REALM) {
        const data = { kind: 'enterprise', tokenHash: null, registeredAs: null, slot: null } as const;
        return registration === 'off' ? null : { policy: register, data: { ...data } };
      }
      const network = networkOf(address);
      if (areTooManyUnknown.isReached(network)) {
        once('hello', network, 'too many realms were asked for that there are not');
        throw new WampError('io.quay.buildworker.toomanyunknownrealms', [
          `more than ${unknownRealmsPerMinute} realms a minute from this address that there are not: wait a minute`,
        ]);
      }
      const row = await realms.find(name);
      if (row === null) {
        areTooManyUnknown(network);
        return null;
      }
      const { kind, tokenHash, registeredAs } = row;
      return { policy: workers, data: { kind, tokenHash, registeredAs, slot: null } };
    },
  });
  const answer: RequestListener = (_request, response) => response.writeHead(426).end('WebSocket only\n');
  const patience = { headersTimeout: HANDSHAKE_WITHIN_MS, requestTimeout: HANDSHAKE_WITHIN_MS };
  const { server, stopWatching } = await openServer(options, patience, answer);
  const door = keepDoor(server, {
    connectionsPerAddress: options.connectionsPerAddress,
    onShutOut: (network) => {
      onShutOut();
      once('connection', network, 'more connections of one address than may be without a worker');
    },
  });
  const webSockets = attachWebSockets(router, server, {
    paths: PATHS,
    // Workers are programs: a page in a browser on this machine is none.
    allowOrigin: () => false,
    now,
  });
  const address = await listen(server, options.address);
  const endIdlers = watchIdlers(router, now);
  return {
    address,
    sessionCount: () => router.sessionCount,
    letGo(stays) {
      server.close();
      webSockets.drain(({ realm: { data } }) => data.slot !== null && stays(data.slot));
    },
    async close() {
      stopWatching();
      clearInterval(endIdlers);
      server.close();
      await webSockets.close();
      // Whoever connected and never asked for a WebSocket would keep us.
      server.closeAllConnections();
    },
  };
}

/** Ends the sessions of those who joined and were not ready in time: they would be kept for ever, and are of no use. */
function watchIdlers(router: Router<WorkerRealm>, now: () => number): NodeJS.Timeout {
  const since = new WeakMap<Session<WorkerRealm>, number>();
  return setInterval(() => {
    for (const { data, sessions } of router.realms.values()) {
      // Most realms have one session, whose worker is ready.
      if (data.slot !== null && sessions.size === 1) continue;
      for (const session of sessions.values()) {
        if (data.slot?.session === session) continue;
        const seen = since.get(session) ?? now();
        since.set(session, seen);
        if (now() - seen > READY_WITHIN_MS)
          session.abort('wamp.error.timeout', `no worker was ready within ${READY_WITHIN_MS / 1000} s`);
      }
    }
  }, WORKER_WATCH_MS);
}

/** A server that does not listen yet: over TLS where there are certificates, which are looked after until it is told otherwise. */
async function openServer(
  { tls, logger }: Pick<WorkerListenerOptions, 'tls' | 'logger'>,
  patience: ServerOptions,
  answer: RequestListener,
): Promise<{ readonly server: Server; readonly stopWatching: () => void }> {
  if (tls === null) return { server: createServer(patience, answer), stopWatching: () => undefined };
  const first = await readListenerTls(tls);
  const server = createTlsServer(
    {
      ...patience,
      ...first,
      handshakeTimeout: HANDSHAKE_WITHIN_MS,
      minVersion: 'TLSv1.2',
      requestCert: tls.clientCa !== null,
      rejectUnauthorized: tls.clientCa !== null,
    },
    answer,
  );
  server.on('tlsClientError', (error, { remoteAddress: address }) => {
    // One that was closed before its handshake has none: the doorkeeper has said so.
    if (address !== undefined) logger.info({ address, reason: reasonOf(error) }, 'a TLS handshake failed');
  });
  const watch = watchListenerTls(server, tls, first, logger);
  return { server, stopWatching: () => watch.stop() };
}
