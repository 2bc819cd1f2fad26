import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { chosenSettings } from '../contract/configuration.ts';
import { createDisposables } from '../contract/disposables.ts';
import { makeFolders } from '../contract/folders.ts';
import { proxiesOf } from '../contract/network/settings.ts';
import { openBlobFolder, openStore } from '../store/index.ts';
import { managerConfiguration } from './config.ts';
import type { ManagerSettings } from './settings.ts';
import { depart } from './departure.ts';
import { announceExecutors } from './executors/announce.ts';
import { beginHosted } from './executors/begin-hosted.ts';
import { createFleet } from './executors/fleet.ts';
import { LEAVE_WITHIN_MS } from './executors/limits.ts';
import { openExecutors } from './executors/open-executors.ts';
import { loadApiTokens } from './http/api-tokens.ts';
import { createHttpServer } from './http/server.ts';
import { createBuildViews } from './http/waiting-view.ts';
import { CACHE_TAG_WITHIN_MS, STORE_WITHIN_MS } from './limits.ts';
import { authorityOf, type ListenAddress } from './listen-address.ts';
import { portOf } from './listen.ts';
import { createFollowLog } from './logs/follow.ts';
import { meterStore } from './metrics/meter-store.ts';
import { createMetrics } from './metrics/metrics.ts';
import { probeManager } from './metrics/probe-manager.ts';
import { probeStore } from './metrics/probe-store.ts';
import { startDrains } from './realms/drains.ts';
import type { ListenerTlsPaths } from './realms/listener-tls.ts';
import { loadRegistrationTickets } from './realms/registration-tickets.ts';
import { createResumption } from './realms/resumption.ts';
import { startRoster } from './realms/roster.ts';
import type { SlotConnection } from './realms/slot-connection.ts';
import { startWorkerListener } from './realms/worker-listener.ts';
import { openRegistryClient } from './registry/client/open-registry-client.ts';
import { openTokenServer } from './registry/open-token-server.ts';
import { createRegistryAccess } from './registry/registry-access.ts';
import { everyOf } from './registry/scopes.ts';
import { startRetention } from './retention.ts';
import { findCacheTag } from './scheduling/cache-tag.ts';
import { buildSecrets, cacheAccess, prepareHandOver } from './scheduling/hand-over.ts';
import { startScheduler, type Scheduler } from './scheduling/scheduler.ts';
import { startSweeper } from './scheduling/sweeper.ts';
import { demandOwnKey } from './secrets/own-key.ts';
import { createSecretBox, type RekeyableBox } from './secrets/secret-box.ts';
import { loadSecretKeys, secretKeyPath } from './secrets/secret-key.ts';
import { watchSecretKeys } from './secrets/watched-keys.ts';
import { openRefResolver } from './submission/open-ref-resolver.ts';
import { createSubmit } from './submission/submit.ts';

/** The worker of this package. */
const WORKER_PROGRAM = resolve(import.meta.dirname, '../../bin/quay-builder');

const DAY_SECONDS = 86_400;

export interface Manager {
  /** Where its listeners listen, the ports that were chosen for 0 included. */
  readonly wamp: ListenAddress;
  readonly http: ListenAddress;
  /** Takes no more builds, has its workers go elsewhere, waits for those that cannot, and ends; waits for nobody once it is `hurried`. */
  stop(hurried: AbortSignal): Promise<void>;
}

/**
 * Starts everything a manager is, in the order in which each needs the others. What was started is ended again when a later
 * part fails.
 */
export async function startManager(
  settings: ManagerSettings,
  version: string,
  logger: Logger,
): Promise<Manager> {
  const dataDirectory = resolve(settings.DATA_DIR);
  const manager = settings.MANAGER_ID ?? hostname();
  const now = Date.now;
  await makeFolders(dataDirectory);
  await using starting = createDisposables();
  const box = await openSecretBox(settings, logger);
  const blobs = await openBlobFolder(join(dataDirectory, 'blobs'));
  const metrics = createMetrics();
  metrics.info.set({ manager, version }, 1);
  const opened = await openStore({
    dataDirectory,
    blobs,
    databaseUrl: settings.DATABASE_URL ?? undefined,
    log: logger,
    onStatement: (statement, end, seconds) => {
      metrics.statements.observe({ statement }, seconds);
      if (end !== 'done') metrics.statementFailures.inc({ reason: end });
    },
  });
  starting.defer(() => opened.close());
  const store = meterStore(opened, metrics, now);
  probeStore(metrics, store, now);
  await demandOwnKey(store.keys, box);
  const stopWatching = watchSecretKeys({
    path: secretKeyPath(settings),
    box,
    demandOwn: (each) => demandOwnKey(store.keys, each),
    logger,
  });
  starting.defer(stopWatching);
  await store.workers.sweep({ manager });
  const tokens =
    settings.API_TOKENS_FILE === null
      ? null
      : await loadApiTokens(settings.API_TOKENS_FILE, (error) =>
          logger.warn({ err: error }, 'the API tokens'),
        );
  const tickets =
    settings.REGISTRATION_TICKETS_FILE === null
      ? null
      : await loadRegistrationTickets(settings.REGISTRATION_TICKETS_FILE, (error) =>
          logger.warn({ err: error }, 'the tickets of workers'),
        );
  const registryAccess = createRegistryAccess({
    registry: settings.REGISTRY,
    tokens: settings.REGISTRY_TOKEN_SERVICE !== null,
    user:
      settings.REGISTRY_USERNAME === null || settings.REGISTRY_PASSWORD === null
        ? null
        : { username: settings.REGISTRY_USERNAME, password: settings.REGISTRY_PASSWORD },
  });

  const registryTokens = await openTokenServer({
    service: settings.REGISTRY_TOKEN_SERVICE,
    store,
    box,
    tokens,
    dataDirectory,
    now,
  });
  const registries = starting.use(
    openRegistryClient({
      registry: settings.REGISTRY,
      registryUrl: settings.REGISTRY_URL,
      privateAddresses: settings.PRIVATE_ADDRESSES,
      proxies: proxiesOf(settings),
      insecure: settings.INSECURE_REGISTRIES,
      logger,
      now: () => performance.now(),
    }),
  );
  const tryLimits = {
    timeout: Math.min(settings.BUILD_TIMEOUT_SECONDS, settings.BUILD_TIMEOUT_MAX_SECONDS),
    silence: Math.min(settings.BUILD_SILENCE_SECONDS, settings.BUILD_TIMEOUT_MAX_SECONDS),
    most: settings.BUILD_TIMEOUT_MAX_SECONDS,
  };
  const views = createBuildViews({
    waits: store.waits,
    defaultMaxRunning: settings.NAMESPACE_MAX_RUNNING,
    now,
  });
  let status: 'running' | 'stopping' = 'running';
  const lookUps = new AbortController();
  const app = await createHttpServer({
    version,
    store,
    blobs,
    box,
    submit: createSubmit({
      builds: store.builds,
      workers: store.workers,
      box,
      resolveRef: await openRefResolver({
        directory: join(dataDirectory, `git-${encodeURIComponent(manager)}`),
        knownHostsFile: settings.GIT_KNOWN_HOSTS_FILE,
        authoritiesFile: settings.GIT_SSL_CAINFO,
        trustedFile: join(dataDirectory, 'git-known-hosts'),
        privateAddresses: settings.PRIVATE_ADDRESSES,
        proxies: proxiesOf(settings),
        signal: lookUps.signal,
      }),
      defaultRegistry: settings.REGISTRY,
      registryAccess,
      defaultMaxWaiting: settings.NAMESPACE_MAX_WAITING,
      timeoutMaxSeconds: tryLimits.most,
      newId: randomUUID,
    }),
    namespaceDefaults: {
      maxRunning: settings.NAMESPACE_MAX_RUNNING,
      maxWaiting: settings.NAMESPACE_MAX_WAITING,
    },
    views,
    followLog: createFollowLog(store, views),
    registryTokens,
    tokens,
    metrics,
    logger,
    managerName: manager,
    managerStatus: () => status,
    limits: { packageMax: settings.PACKAGE_MAX_BYTES },
  });
  starting.defer(async () => {
    lookUps.abort();
    // Somebody who is connected and says nothing is an unanswered request, too.
    const late = setTimeout(() => app.server.closeAllConnections(), STORE_WITHIN_MS);
    await app.close();
    clearTimeout(late);
  });
  await app.listen(settings.LISTEN_HTTP);
  const http = { ...settings.LISTEN_HTTP, port: portOf(app.server) };
  const publicUrl = (settings.PUBLIC_URL?.href ?? `http://${authorityOf(http)}`).replace(/\/+$/, '');

  const stopping = new AbortController();
  const roster = startRoster({
    workers: store.workers,
    realms: store.realms,
    wakeUps: store.wakeUps,
    manager,
    heartbeatTimeoutSeconds: settings.HEARTBEAT_TIMEOUT_SECONDS,
    logger,
    now,
  });
  starting.defer(() => roster.stop());
  const executors = await openExecutors(settings.EXECUTORS_FILE, {
    directory: join(dataDirectory, `executors-${manager}`),
    program: WORKER_PROGRAM,
    leaveWithinMs: LEAVE_WITHIN_MS,
  });
  const announced = announceExecutors({ store: store.executors, manager, executors, logger });
  starting.defer(() => announced.stop());
  const fleet = createFleet({
    executors,
    hostedWorkers: store.hostedWorkers,
    leases: store.leases,
    manager,
    onLaunchEnd: (executor, end, seconds) => {
      metrics.executorLaunches.inc({ executor, end });
      if (end === 'came') metrics.executorSetup.observe({ executor }, seconds);
    },
    logger,
    now,
    signal: stopping.signal,
  });
  starting.defer(() => fleet.stop());
  const handOver = {
    capabilities: store.capabilities,
    leases: store.leases,
    readable: store.readable,
    publicRepositories: settings.PUBLIC_NAMESPACES.map(everyOf),
    box,
    registryAccess,
    publicUrl,
    tryLimits,
    resumeGraceSeconds: settings.RESUME_GRACE_SECONDS,
  };
  const drains = startDrains({
    workers: store.workers,
    wakeUps: store.wakeUps,
    onChange: () => scheduler.drainsChanged(),
    logger,
  });
  starting.defer(() => drains.stop());
  const scheduler: Scheduler = startScheduler({
    fleet,
    leases: store.leases,
    logs: store.logs,
    logMaxBytes: settings.TRY_LOG_MAX_BYTES,
    wakeUps: store.wakeUps,
    manager,
    leaseSeconds: settings.LEASE_SECONDS,
    defaultMaxRunning: settings.NAMESPACE_MAX_RUNNING,
    prepare: (claim, slot) => prepareHandOver(claim, slot.extensions, handOver),
    secretsOf: (claim) => buildSecrets(claim, handOver),
    cacheTag: (claim) =>
      findCacheTag(claim, {
        builds: store.builds,
        registries: registries.client,
        accessOf: (each) => cacheAccess(each, handOver, registryTokens),
        withinMs: CACHE_TAG_WITHIN_MS,
        logger,
      }),
    isDrained: ({ worker }) => drains.isDrained(worker.id),
    onSlotBusy: (slot, lease) => roster.busy(slot, lease),
    workerStopSeconds: settings.WORKER_STOP_SECONDS,
    logger,
    now,
    random: Math.random,
    signal: stopping.signal,
  });
  starting.defer(async () => {
    await scheduler.stop();
    await scheduler.drained();
  });
  const sweeper = startSweeper({
    store,
    blobs,
    leaseSeconds: settings.LEASE_SECONDS,
    resumeSeconds: settings.RESUME_GRACE_SECONDS,
    random: Math.random,
    logger,
  });
  starting.defer(() => sweeper.stop());
  const retention = startRetention({
    retention: store.retention,
    keep: {
      buildsSeconds: settings.KEEP_BUILDS_DAYS * DAY_SECONDS,
      logsSeconds: settings.KEEP_LOGS_DAYS * DAY_SECONDS,
      logsBytes: settings.KEEP_LOGS_BYTES,
      auditSeconds: settings.KEEP_AUDIT_DAYS * DAY_SECONDS,
      auditEntries: settings.KEEP_AUDIT_ENTRIES,
    },
    logger,
  });
  starting.defer(() => retention.stop());

  /** A hosted worker has one build, which was claimed before the worker was started. */
  const hostedReady = async (slot: SlotConnection): Promise<void> => {
    const claim = await beginHosted(slot, {
      hostedWorkers: store.hostedWorkers,
      leases: store.leases,
      manager,
      leaseSeconds: settings.LEASE_SECONDS,
      random: Math.random,
      logger,
      signal: stopping.signal,
    });
    if (claim === null) slot.session.abort('io.quay.buildworker.nobuild', 'its build is not there any more');
    else scheduler.hostedReady(slot, claim);
  };

  const listener = await startWorkerListener({
    address: settings.LISTEN_WAMP,
    tls: listenerTlsOf(settings),
    registrationsPerMinute: settings.REGISTRATIONS_PER_MINUTE,
    wrongTicketsPerMinute: settings.WRONG_TICKETS_PER_MINUTE,
    unknownRealmsPerMinute: settings.UNKNOWN_REALMS_PER_MINUTE,
    connectionsPerAddress: settings.UNREADY_CONNECTIONS_MAX,
    realms: store.realms,
    registration: settings.REGISTRATION === 'ticket' ? (tickets ?? 'off') : settings.REGISTRATION,
    resumption:
      settings.RESUME_GRACE_SECONDS === 0 ? null : createResumption({ leases: store.leases, manager }),
    onReady: (slot) => {
      roster.add(slot);
      if (slot.session.realm.data.kind === 'enterprise') scheduler.slotReady(slot);
      else {
        hostedReady(slot).catch((error: unknown) =>
          logger.warn({ err: error }, 'a hosted worker could not be given its build'),
        );
      }
    },
    onResumed: (slot, resumed) => {
      roster.add(slot);
      scheduler.slotResumed(slot, resumed);
    },
    onGone: (slot) => {
      scheduler.slotGone(slot);
      roster.remove(slot);
    },
    onDrop: (kind) => metrics.dropped.inc({ kind }),
    onRefused: (result) => metrics.registrations.inc({ result }),
    onShutOut: () => metrics.connectionsShutOut.inc(),
    logger,
    now,
  });
  probeManager(metrics, listener, fleet);

  const wampUrl =
    settings.PUBLIC_WAMP_URL?.href ??
    `${settings.WAMP_TLS_CERT_PATH === null ? 'ws' : 'wss'}://${authorityOf(listener.address)}`;
  fleet.open(wampUrl.replace(/\/+$/, ''), () => scheduler.wake());

  await store.audit.record({
    actor: { name: `manager:${manager}`, address: null },
    action: 'manager.start',
    object: manager,
    detail: { version, settings: chosenSettings(managerConfiguration, settings) },
  });

  const running = starting.move();
  return {
    wamp: listener.address,
    http,
    async stop(hurried) {
      status = 'stopping';
      try {
        const { STOP_DELAY_SECONDS: delaySeconds, STOP_WITHIN_SECONDS: withinSeconds } = settings;
        await depart(
          { scheduler, fleet, listener, delaySeconds, withinSeconds, logger, giveUp: stopping },
          hurried,
        );
      } finally {
        stopping.abort();
        await running[Symbol.asyncDispose]();
      }
    },
  };
}

async function openSecretBox(settings: ManagerSettings, logger: Logger): Promise<RekeyableBox> {
  const path = secretKeyPath(settings);
  const { keys, created } = await loadSecretKeys(path, { create: settings.SECRET_KEY_FILE === null });
  if (created) logger.info({ path }, 'made the key that seals credentials: keep it with the data');
  return createSecretBox(keys);
}

function listenerTlsOf({
  WAMP_TLS_CERT_PATH: certificate,
  WAMP_TLS_KEY_PATH: key,
  WAMP_TLS_CLIENT_CA_PATH: clientCa,
}: ManagerSettings): ListenerTlsPaths | null {
  return certificate === null || key === null ? null : { certificate, key, clientCa };
}
