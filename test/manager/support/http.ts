import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import pino from 'pino';
import type { LabDatabaseServer } from '../../../lab/database.ts';
import { problemSchema, type Problem } from '../../../src/contract/api.ts';
import { createBuildViews } from '../../../src/manager/http/waiting-view.ts';
import { createHttpServer } from '../../../src/manager/http/server.ts';
import type { HttpDependencies } from '../../../src/manager/http/ports.ts';
import { noProxies } from '../../../src/contract/network/proxies.ts';
import { createFollowLog } from '../../../src/manager/logs/follow.ts';
import { createMetrics } from '../../../src/manager/metrics/metrics.ts';
import { probeStore } from '../../../src/manager/metrics/probe-store.ts';
import { createRegistryAccess } from '../../../src/manager/registry/registry-access.ts';
import { createSecretBox, type SecretBox } from '../../../src/manager/secrets/secret-box.ts';
import { openRefResolver } from '../../../src/manager/submission/open-ref-resolver.ts';
import { createSubmit } from '../../../src/manager/submission/submit.ts';
import {
  openBlobFolder,
  openStore,
  type BlobStore,
  type Claim,
  type Store,
} from '../../../src/store/index.ts';

/** The manager's HTTP listener on a database and a blob folder of its own, without a router or workers. */
export interface TestHttp extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly box: SecretBox;
  /** Everything that was logged so far, as JSON lines. */
  logged(): string;
  /** Claims the next build as the manager of a worker with these extensions would; none when absent. */
  claim(extensions?: readonly string[]): Promise<Claim>;
}

export async function openTestHttp(
  database: LabDatabaseServer,
  overrides: Partial<HttpDependencies> & {
    readonly databaseUrl?: string;
    /** More of the dependencies, made of the store. */
    readonly withBlobs?: (blobs: BlobStore) => BlobStore;
    readonly withStore?: (store: Store, box: SecretBox) => Promise<Partial<HttpDependencies>>;
  } = {},
): Promise<TestHttp> {
  const {
    databaseUrl = (await database.createDatabase()).url,
    withStore,
    withBlobs,
    ...dependencies
  } = overrides;
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'http-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const blobs = await openBlobFolder(folder);
  const store = await openStore({
    databaseUrl,
    dataDirectory: folder,
    blobs,
    log: pino({ level: 'silent' }),
  });
  stack.defer(() => store.close());
  const box = createSecretBox([randomBytes(32)]);
  const metrics = createMetrics();
  probeStore(metrics, store, Date.now);
  let logged = '';
  const views = createBuildViews({ waits: store.waits, defaultMaxRunning: null, now: Date.now });
  const app = await createHttpServer({
    version: '0.0.0',
    store,
    blobs,
    box,
    submit: createSubmit({
      builds: store.builds,
      workers: store.workers,
      box,
      resolveRef: await openRefResolver({
        directory: join(folder, 'git'),
        knownHostsFile: null,
        authoritiesFile: null,
        trustedFile: join(folder, 'git-known-hosts'),
        privateAddresses: 'all',
        proxies: noProxies,
        signal: new AbortController().signal,
      }),
      defaultRegistry: 'registry.example:5000',
      registryAccess: createRegistryAccess({ registry: null, tokens: false, user: null }),
      defaultMaxWaiting: null,
      timeoutMaxSeconds: 43_200,
      newId: randomUUID,
      now: Date.now,
    }),
    namespaceDefaults: { maxRunning: null, maxWaiting: 10_000 },
    views,
    followLog: createFollowLog(store, views),
    registryTokens: null,
    tokens: null,
    metrics,
    logger: pino({ level: 'debug' }, { write: (line) => (logged += line) }),
    managerName: 'manager-1',
    managerStatus: () => 'running',
    ...(withBlobs ? { blobs: withBlobs(blobs) } : {}),
    ...dependencies,
    ...(await withStore?.(store, box)),
  });
  stack.defer(() => app.close());
  const resources = stack.move();
  return {
    app,
    store,
    blobs,
    box,
    logged: () => logged,
    claim: async (extensions = []) => {
      const claim = await store.leases.claim({
        manager: 'manager-1',
        worker: { id: 'worker-1', slot: 0, realm: 'realm-1' },
        kinds: ['image'],
        extensions,
        leaseSeconds: 60,
      });
      if (claim === null) throw new Error('there is nothing to claim');
      return claim;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

export interface Part {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly fileName?: string;
  readonly type?: string;
}

/** A multipart body, as clients send it (RFC 7578). */
export function multipart(parts: readonly Part[]): { payload: Buffer; headers: Record<string, string> } {
  const boundary = 'a-boundary-of-the-test';
  const pieces = parts.flatMap(({ name, content, fileName, type }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"` +
        `${fileName === undefined ? '' : `; filename="${fileName}"`}\r\n` +
        `${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n`,
    ),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
  return {
    payload: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  };
}

/** The parts of a build with a package. */
export function buildParts(request: object, content: string | Uint8Array): Part[] {
  return [
    { name: 'request', content: JSON.stringify(request), type: 'application/json' },
    { name: 'package', content, fileName: 'package', type: 'application/octet-stream' },
  ];
}

/** How a request to submit a build was refused. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly details: Problem['details'];
  /** The answer, as it came. */
  readonly text: string;
}

/** Makes a request, `POST /api/v1/builds` where it says nothing else, that must be refused with a problem. */
export async function refusalOf({ app }: TestHttp, options: InjectOptions): Promise<Refusal> {
  const answer = await app.inject({ method: 'POST', url: '/api/v1/builds', ...options });
  const { code, details } = problemSchema.parse(answer.json());
  return { status: answer.statusCode, code, details, text: answer.body };
}
