import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readTlsOptions, type TlsPaths } from '../../../src/worker/link/tls.ts';
import { openTransport } from '../../../src/worker/link/transport.ts';
import { fastClock } from '../harness.ts';
import { startTestManager } from '../test-manager.ts';
import {
  authority,
  certificatePem,
  dnsName,
  issue,
  keyPem,
  loopback,
  startTlsServer,
  type Identity,
} from './identities.ts';

/** Who a manager must be, and who the worker says that it is. */

const never = new AbortController().signal;
const none: TlsPaths = { ca: null, certificate: null, key: null, serverName: null };
const SYSTEM = getCACertificates('default');

let directory: string;
let ca: Identity;
let impostorCa: Identity;
let caPath: string;
let ownCertificate: Pick<TlsPaths, 'certificate' | 'key'>;

async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

async function certificateFiles(name: string, identity: Identity): Promise<typeof ownCertificate> {
  return {
    certificate: await file(`${name}.pem`, certificatePem(identity)),
    key: await file(`${name}.key`, await keyPem(identity)),
  };
}

/** Connects as these settings say; answers with `connected`, or why not. */
async function connect(server: Server, tls: Partial<TlsPaths>): Promise<string> {
  await using manager = await startTestManager({}, server);
  try {
    const options = readTlsOptions({ ...none, ...tls });
    const transport = await openTransport(manager.url, options, fastClock, never);
    transport.end();
    await transport.closed;
    return 'connected';
  } catch (error) {
    return String(error);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-builder-tls-'));
  [ca, impostorCa] = await Promise.all([authority('Lab'), authority('Impostor')]);
  caPath = await file('ca.pem', certificatePem(ca));
  ownCertificate = await certificateFiles('worker', await issue(ca, []));
});
afterEach(() => setDefaultCACertificates(SYSTEM));
afterAll(() => rm(directory, { recursive: true }));

describe('an authority, a certificate of its own and a server name count each alone and together', () => {
  const choices = [false, true];
  it.each(choices.flatMap((a) => choices.flatMap((b) => choices.map((c) => [a, b, c] as const))))(
    'authority: %j, certificate: %j, server name: %j',
    async (withCa, withCertificate, withName) => {
      const settings: [wanted: boolean, Partial<TlsPaths>, refusal: RegExp][] = [
        [withCa, { ca: caPath }, /unable to verify|self-signed certificate in certificate chain/],
        [withCertificate, ownCertificate, /certificate required|socket hang up|ECONNRESET|EPIPE/],
        [withName, { serverName: 'quay-services' }, /does not match certificate's altnames/],
      ];
      const identity = await issue(ca, withName ? dnsName('quay-services') : loopback);
      const serve = (): Promise<Server> => startTlsServer(identity, withCertificate ? ca : null);
      // What is not given as a setting is what the system knows.
      if (!withCa) setDefaultCACertificates([...SYSTEM, certificatePem(ca)]);
      const given = settings.filter(([wanted]) => wanted);
      const all = Object.assign({}, ...given.map(([, tls]) => tls)) as Partial<TlsPaths>;
      expect(await connect(await serve(), all)).toBe('connected');
      for (const [, without, refusal] of given) {
        const rest = Object.fromEntries(Object.entries(all).filter(([name]) => !(name in without)));
        expect(await connect(await serve(), rest)).toMatch(refusal);
      }
    },
  );
});

describe('an impostor is refused', () => {
  const ownCa = (): Partial<TlsPaths> => ({ ca: caPath });

  it('whose certificate comes from another authority, also one that the system knows', async () => {
    const identity = await issue(impostorCa, loopback);
    expect(await connect(await startTlsServer(identity), ownCa())).toMatch(
      /unable to verify|self-signed certificate in/,
    );
    setDefaultCACertificates([...SYSTEM, certificatePem(impostorCa)]);
    expect(await connect(await startTlsServer(identity), ownCa())).toMatch(
      /unable to verify|self-signed certificate in/,
    );
  });

  it('whose certificate is its own authority', async () => {
    expect(await connect(await startTlsServer(impostorCa), ownCa())).toMatch(/self-signed|unable to verify/);
  });

  it('whose certificate is for another host, or for no host that is said', async () => {
    for (const names of [dnsName('other.example'), dnsName('localhost'), []]) {
      const server = await startTlsServer(await issue(ca, names));
      expect(await connect(server, ownCa())).toMatch(/does not match certificate's altnames|Cert is empty/);
    }
  });

  it('whose certificate is not for the server name that is set, though it is for the host', async () => {
    const server = await startTlsServer(await issue(ca, loopback));
    expect(await connect(server, { ...ownCa(), serverName: 'quay-services' })).toMatch(/does not match/);
  });

  it('whose certificate has expired, or is not valid yet', async () => {
    const day = 86_400_000;
    const past = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) };
    const future = { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) };
    const expired = await startTlsServer(await issue(ca, loopback, past));
    expect(await connect(expired, ownCa())).toMatch(/certificate has expired/);
    const early = await startTlsServer(await issue(ca, loopback, future));
    expect(await connect(early, ownCa())).toMatch(/certificate is not yet valid/);
  });

  it('that speaks no TLS at all', async () => {
    await using manager = await startTestManager();
    const url = new URL(manager.url.href.replace('ws:', 'wss:'));
    const opening = openTransport(url, readTlsOptions({ ...none, ...ownCa() }), fastClock, never);
    await expect(opening).rejects.toThrow(/wrong version number|packet length/i);
  });
});

it("a worker's certificate of another authority does not let it in", async () => {
  const stranger = await certificateFiles('stranger', await issue(impostorCa, []));
  const server = await startTlsServer(await issue(ca, loopback), ca);
  expect(await connect(server, { ca: caPath, ...stranger })).not.toBe('connected');
});

it('a certificate that was renewed counts at the next connection', async () => {
  const path = await file('renewed-ca.pem', certificatePem(impostorCa));
  const identity = await issue(ca, loopback);
  expect(await connect(await startTlsServer(identity), { ca: path })).toMatch(
    /unable to verify|self-signed certificate in/,
  );
  await file('renewed-ca.pem', certificatePem(ca));
  expect(await connect(await startTlsServer(identity), { ca: path })).toBe('connected');
});

it('the setting whose file cannot be read is named', () => {
  expect(() => readTlsOptions({ ...none, key: '/nowhere/key.pem' })).toThrow(
    /^TLS_KEY_PATH: must be the path of a readable PEM file: ENOENT/,
  );
});
