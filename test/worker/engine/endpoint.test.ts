// @peculiar/x509 wants this polyfill to be there before it.
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { KeyObject, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { startEngine } from '../../../lab/engine.ts';
import { parseEndpoint } from '../../../src/worker/engine/endpoint.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall } from './support.ts';

test('reads where an engine listens', () => {
  expect(parseEndpoint('unix:///var/run/docker.sock')).toEqual({
    name: 'unix:///var/run/docker.sock',
    protocol: 'http',
    address: { socketPath: '/var/run/docker.sock' },
  });
  expect(parseEndpoint('tcp://engine.example:1234')).toMatchObject({
    protocol: 'http',
    address: { host: 'engine.example', port: 1234, tls: null },
  });
  expect(parseEndpoint('tcp://[::1]')).toMatchObject({ address: { host: '::1', port: 2375 } });
});

test.each([
  '',
  'docker.sock',
  'unix://docker.sock',
  'ssh://engine.example',
  'tcp://',
  'tcp://host/path',
  'http//x',
])('refuses %j, and says what is wanted', (dockerHost) => {
  expect(() => parseEndpoint(dockerHost)).toThrow(
    expect.objectContaining({ kind: 'refused', message: expect.stringContaining('unix:///path') as string }),
  );
});

test('refuses a DOCKER_CERT_PATH that lacks a file', () => {
  expect(() => parseEndpoint('tcp://engine.example:2376', '/nowhere')).toThrow(
    'DOCKER_CERT_PATH must hold ca.pem, cert.pem and key.pem',
  );
});

test('takes nothing from its environment', async () => {
  const before = process.env['DOCKER_HOST'];
  process.env['DOCKER_HOST'] = 'tcp://another.example:1';
  try {
    const engine = createEngine({ dockerHost: 'unix:///nowhere/docker.sock', builder: 'auto' });
    await expect(engine.inspect('a', recordCall().signal)).rejects.toThrow('/nowhere/docker.sock');
  } finally {
    if (before === undefined) delete process.env['DOCKER_HOST'];
    else process.env['DOCKER_HOST'] = before;
  }
});

test('an engine behind TLS builds, pulls and answers, and only to a client with a certificate', async () => {
  await using lab = await startEngine();
  await using certificates = await makeCertificates();
  const server = createServer(
    { ...certificates.server, ca: certificates.ca, requestCert: true, rejectUnauthorized: true },
    (client) => {
      const engine = connect(lab.socket);
      client.pipe(engine).pipe(client);
      client.on('error', () => engine.destroy());
      engine.on('error', () => client.destroy());
    },
  ).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => undefined);
  await once(server, 'listening');
  const dockerHost = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using context = await makeContext({ Dockerfile: 'FROM scratch\nCOPY . /\n', file: 'content' });
  const signal = recordCall().signal;

  for (const builder of ['buildkit', 'classic'] as const) {
    const engine = createEngine({ dockerHost, certPath: certificates.path, builder });
    expect(await engine.describe(signal)).toMatchObject({ builder });
    const build = buildOf(context.path);
    const { imageId } = await engine.build(build, recordCall());
    expect(await engine.inspect(build.reference, signal)).toMatchObject({ imageId });
  }
  await expect(createEngine({ dockerHost, builder: 'auto' }).describe(signal)).rejects.toMatchObject({
    kind: 'unreachable',
  });
  server.close();
});

/** A CA, a server's certificate for 127.0.0.1 and a client's, which lies with the CA in the files of DOCKER_CERT_PATH. */
async function makeCertificates(): Promise<
  AsyncDisposable & { path: string; ca: string; server: { cert: string; key: string } }
> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const issue = async (name: string, issuer: { subject: string; key: webcrypto.CryptoKey } | null) => {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: issuer?.subject ?? `CN=${name}`,
      publicKey: keys.publicKey,
      signingKey: issuer?.key ?? keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(issuer === null),
        new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
      ],
    });
    const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
    return {
      issuer: { subject: certificate.subject, key: keys.privateKey },
      cert: certificate.toString('pem'),
      key,
    };
  };
  const ca = await issue('test CA', null);
  const [server, client] = [await issue('server', ca.issuer), await issue('client', ca.issuer)];
  const path = await mkdtemp(join(tmpdir(), 'engine-certificates-'));
  for (const [name, text] of Object.entries({
    'ca.pem': ca.cert,
    'cert.pem': client.cert,
    'key.pem': client.key,
  })) {
    await writeFile(join(path, name), text);
  }
  return {
    path,
    ca: ca.cert,
    server: { cert: server.cert, key: server.key },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}
