import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { proxiesOf } from '../../contract/network/settings.ts';
import type { ApiTokens } from '../http/api-tokens.ts';
import { createHttpServer } from '../http/server.ts';
import { createBuildViews } from '../http/waiting-view.ts';
import { STORE_WITHIN_MS } from '../limits.ts';
import { authorityOf, type ListenAddress } from '../listen-address.ts';
import { portOf } from '../listen.ts';
import { createFollowLog } from '../logs/follow.ts';
import { openRefResolver } from '../submission/open-ref-resolver.ts';
import { createSubmit } from '../submission/submit.ts';
import type { Registries } from './open-registries.ts';
import type { ManagerState } from './open-state.ts';
import type { ManagerSurroundings } from './surroundings.ts';

export interface ApiDependencies {
  readonly state: ManagerState;
  readonly registries: Pick<Registries, 'access' | 'tokenServer'>;
  /** Who may use it; null: whoever reaches it. */
  readonly apiTokens: ApiTokens | null;
  readonly managerStatus: () => 'running' | 'stopping';
}

export interface Api {
  /** Where it listens, the port that was chosen for 0 included. */
  readonly address: ListenAddress;
  /** Where others reach it, without a slash at its end. */
  readonly publicUrl: string;
}

/** Starts the HTTP API: builds can be submitted, and wait. */
export async function startApi(
  { settings, version, manager, dataDirectory, metrics, logger, now, starting }: ManagerSurroundings,
  { state: { store, blobs, box }, registries, apiTokens, managerStatus }: ApiDependencies,
): Promise<Api> {
  const views = createBuildViews({
    waits: store.waits,
    defaultMaxRunning: settings.NAMESPACE_MAX_RUNNING,
    now,
  });
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
      registryAccess: registries.access,
      defaultMaxWaiting: settings.NAMESPACE_MAX_WAITING,
      timeoutMaxSeconds: settings.BUILD_TIMEOUT_MAX_SECONDS,
      newId: randomUUID,
      now,
    }),
    namespaceDefaults: {
      maxRunning: settings.NAMESPACE_MAX_RUNNING,
      maxWaiting: settings.NAMESPACE_MAX_WAITING,
    },
    views,
    followLog: createFollowLog(store, views),
    registryTokens: registries.tokenServer,
    tokens: apiTokens,
    metrics,
    logger,
    managerName: manager,
    managerStatus,
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
  const address = { ...settings.LISTEN_HTTP, port: portOf(app.server) };
  const publicUrl = (settings.PUBLIC_URL?.href ?? `http://${authorityOf(address)}`).replace(/\/+$/, '');
  return { address, publicUrl };
}
