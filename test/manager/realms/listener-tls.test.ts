import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { readListenerTls, type ListenerTlsPaths } from '../../../src/manager/realms/listener-tls.ts';
import { systemClock } from '../../../src/worker/clock.ts';
import { readTlsOptions, type TlsPaths } from '../../../src/worker/link/tls.ts';
import { openTransport } from '../../../src/worker/link/transport.ts';
import { startWorker } from '../../worker/harness.ts';
import {
  authority,
  certificatePem,
  issue,
  keyPem,
  loopback,
  type Identity,
} from '../../worker/link/identities.ts';
import { startTestListener } from '../support/listener.ts';

/** The workers' listener over TLS: who it is, who is let in, and how its certificates are renewed. */

const REFUSED =
  /unable to verify|self-signed|certificate required|unknown ca|socket hang up|disconnected|ECONNRESET|EPIPE|alert/;
const soon = { timeout: 60_000 };
const never = new AbortController().signal;

let database: LabDatabaseServer;
let directory: string;
let ca: Identity;
let impostorCa: Identity;
let workersCa: Identity;
beforeAll(async () => {
  database = await startDatabaseServer();
  directory = await mkdtemp(join(tmpdir(), 'quay-listener-tls-'));
  [ca, impostorCa, workersCa] = await Promise.all([
    authority('Lab'),
    authority('Impostor'),
    authority('Workers'),
  ]);
});
afterAll(async () => {
  await database.stop();
  await rm(directory, { recursive: true });
});

async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

/** The files of a listener with a certificate of this authority. */
async function listenerFiles(by: Identity, clientCa: Identity | null): Promise<ListenerTlsPaths> {
  const identity = await issue(by, loopback);
  return {
    certificate: await file('wamp.pem', certificatePem(identity)),
    key: await file('wamp.key', await keyPem(identity)),
    clientCa: clientCa && (await file('workers-ca.pem', certificatePem(clientCa))),
  };
}

/** What a worker is told that trusts this authority, and has a certificate of that one. */
async function workerFiles(trusts: Identity, own: Identity | null): Promise<TlsPaths> {
  const identity = own && (await issue(own, []));
  return {
    ca: await file('ca.pem', certificatePem(trusts)),
    certificate: identity && (await file('worker.pem', certificatePem(identity))),
    key: identity && (await file('worker.key', await keyPem(identity))),
    serverName: null,
  };
}

/** Connects as a worker does; answers with `connected`, or why not. */
async function connect(url: string, tls: TlsPaths): Promise<string> {
  try {
    const transport = await openTransport(new URL(url), readTlsOptions(tls), systemClock, never);
    transport.end();
    await transport.closed;
    return 'connected';
  } catch (error) {
    return String(error);
  }
}

it('lets in a worker with a certificate of the right authority, and nobody else', async () => {
  await using manager = await startTestListener(database, { tls: await listenerFiles(ca, workersCa) });
  const tls = await workerFiles(ca, workersCa);
  await using worker = await startWorker({ manager: { url: new URL(manager.url) }, tls });
  await worker.logged('worker is ready');
  expect(manager.ready.size).toBe(1);
  expect(await connect(manager.url, await workerFiles(ca, null))).toMatch(REFUSED);
  expect(await connect(manager.url, await workerFiles(ca, impostorCa))).toMatch(REFUSED);
  expect(await connect(manager.url, await workerFiles(ca, ca))).toMatch(REFUSED);
  expect(await connect(manager.url.replace('wss:', 'ws:'), tls)).toMatch(
    /socket hang up|disconnected|ECONNRESET|closed/,
  );
  expect(manager.logged()).toContain('a TLS handshake failed');
});

it('connections that are too many end before their handshake, and nothing is logged of it but that', async () => {
  let shutOut = 0;
  await using manager = await startTestListener(database, {
    tls: await listenerFiles(ca, null),
    connectionsPerAddress: 1,
    onShutOut: () => (shutOut += 1),
  });
  const { hostname: host, port } = new URL(manager.url);
  const idle = createConnection({ host, port: Number(port) });
  await once(idle, 'connect');
  const tls = await workerFiles(ca, null);
  for (let each = 0; each < 3; each++) expect(await connect(manager.url, tls)).not.toBe('connected');
  expect(shutOut).toBe(3);
  expect(manager.logged()).not.toContain('a TLS handshake failed');
  idle.destroy();
  await expect.poll(() => connect(manager.url, tls), soon).toBe('connected');
});

it('without authorities for workers, asks for no certificate, and a worker refuses an impostor', async () => {
  await using manager = await startTestListener(database, { tls: await listenerFiles(ca, null) });
  expect(await connect(manager.url, await workerFiles(ca, null))).toBe('connected');
  expect(await connect(manager.url, await workerFiles(impostorCa, null))).toMatch(REFUSED);
});

it('shows a renewed certificate without a restart, and the one of before while the files do not fit', async () => {
  await using manager = await startTestListener(database, { tls: await listenerFiles(ca, null) });
  const renewed = await issue(impostorCa, loopback);
  await file('wamp.pem', certificatePem(renewed));
  await expect.poll(() => manager.logged(), soon).toContain('certificates cannot be renewed');
  expect(await connect(manager.url, await workerFiles(ca, null))).toBe('connected');
  await file('wamp.key', await keyPem(renewed));
  const trusting = await workerFiles(impostorCa, null);
  await expect.poll(() => connect(manager.url, trusting), soon).toBe('connected');
  expect(await connect(manager.url, await workerFiles(ca, null))).toMatch(REFUSED);
  expect(manager.logged()).not.toContain('PRIVATE KEY');
});

it('asks for certificates of renewed authorities', async () => {
  await using manager = await startTestListener(database, { tls: await listenerFiles(ca, workersCa) });
  const tls = await workerFiles(ca, impostorCa);
  expect(await connect(manager.url, tls)).toMatch(REFUSED);
  await file('workers-ca.pem', certificatePem(impostorCa));
  await expect.poll(() => connect(manager.url, tls), soon).toBe('connected');
});

it('names the setting whose file cannot be used', async () => {
  const paths = await listenerFiles(ca, workersCa);
  const other = await file('other.key', await keyPem(await issue(ca, loopback)));
  const broken = await file('broken.pem', 'no certificate');
  for (const [change, words] of [
    [{ certificate: '/nowhere.pem' }, /^WAMP_TLS_CERT_PATH: must be the path of a readable PEM file: ENOENT/],
    [{ certificate: broken }, /^WAMP_TLS_CERT_PATH: cannot be used: /],
    [{ key: other }, /^WAMP_TLS_KEY_PATH, which must be the key of WAMP_TLS_CERT_PATH: cannot be used: /],
    [{ clientCa: broken }, /^WAMP_TLS_CLIENT_CA_PATH: cannot be used: /],
  ] as const) {
    await expect(readListenerTls({ ...paths, ...change })).rejects.toThrow(words);
  }
});
