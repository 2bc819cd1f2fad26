import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { gatherAuthorities, type Authorities } from '../../src/entrypoint/authorities.ts';
import { authority, certificatePem, issue, keyPem, loopback } from '../worker/link/identities.ts';

/** What is added to the authorities of a system, and what becomes of files that are not right. */

let directory: string;
let certs: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-entrypoint-test-'));
  certs = join(directory, 'certs');
  await mkdir(certs);
  await mkdir(join(directory, 'shm'));
  await writeFile(join(directory, 'system.pem'), 'the certificates of the system\n');
});
afterEach(() => rm(directory, { recursive: true }));

const gather = (
  { system = [join(directory, 'system.pem')], bundle = [join(directory, 'shm')] } = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<Authorities> => gatherAuthorities({ added: certs, system, bundle }, environment);
const put = (name: string, content: string | Uint8Array): Promise<void> =>
  writeFile(join(certs, name), content);

it('every certificate of every file is added to those of the system', async () => {
  const [one, two, three] = [await authority('one'), await authority('two'), await authority('three')];
  await put('both.pem', `One:\n${certificatePem(one)}\nTwo:\n${certificatePem(two)}`);
  await put('binary.crt', new Uint8Array(three.certificate.rawData));
  const { variables, warnings } = await gather();
  expect(warnings).toEqual([]);
  const path = variables['SSL_CERT_FILE'] ?? '';
  expect(variables).toEqual({ SSL_CERT_FILE: path, NODE_EXTRA_CA_CERTS: path, GIT_SSL_CAINFO: path });
  const text = await readFile(path, 'utf8');
  expect(text).toContain('the certificates of the system');
  for (const each of [one, two, three]) expect(text).toContain(certificatePem(each).trim());
});

it('without a file nothing changes', async () => {
  expect(await gather()).toEqual({ variables: {}, warnings: [] });
  await rm(certs, { recursive: true });
  expect(await gather()).toEqual({ variables: {}, warnings: [] });
});

it('a variable that is set already stays', async () => {
  await put('one.pem', certificatePem(await authority('one')));
  const { variables } = await gather({}, { GIT_SSL_CAINFO: '/my/own.pem', SSL_CERT_FILE: '' });
  expect(Object.keys(variables)).toEqual(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']);
});

it('what cannot be read is told of by name, and the rest counts', async () => {
  const good = certificatePem(await authority('good'));
  const ca = await authority('old');
  const old = await issue(ca, loopback, { notBefore: new Date(2000, 0), notAfter: new Date(2001, 0) });
  const broken = good.replace(/\n[A-Za-z0-9+/]{40}/, '\n!!');
  await put('a-broken.pem', `${broken}\n${good}`);
  await put('b-key.pem', await keyPem(ca));
  await put('c-old.crt', certificatePem(old));
  await put('d.txt', good);
  await mkdir(join(certs, 'e.pem'));
  await symlink('nowhere', join(certs, 'f.pem'));
  const { variables, warnings } = await gather();
  expect(warnings).toEqual([
    `${certs}/d.txt: it is not read: its name ends in none of .pem, .crt, .cer and .cert`,
    `${certs}/a-broken.pem: certificate 1 cannot be read, and is left out`,
    `${certs}/b-key.pem: it holds no certificate, in PEM or DER`,
    expect.stringContaining(`${certs}/c-old.crt: certificate 1 has expired`),
    `${certs}/e.pem: it is a folder: is the file there that was to be mounted?`,
    expect.stringContaining(`${certs}/f.pem: ENOENT`),
  ]);
  const text = await readFile(variables['SSL_CERT_FILE'] ?? '', 'utf8');
  expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(text).not.toContain('PRIVATE KEY');
});

it('files of a mounted ConfigMap, which are links, count once', async () => {
  await mkdir(join(certs, '..2026'));
  await writeFile(join(certs, '..2026/ca.crt'), certificatePem(await authority('one')));
  await symlink('..2026', join(certs, '..data'));
  await symlink('..data/ca.crt', join(certs, 'ca.crt'));
  const { variables, warnings } = await gather();
  expect(warnings).toEqual([]);
  const text = await readFile(variables['SSL_CERT_FILE'] ?? '', 'utf8');
  expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
});

it('a second program beside the first has the same bundle', async () => {
  await put('one.pem', certificatePem(await authority('one')));
  expect(await gather()).toEqual(await gather());
  const folder = join(directory, 'shm', `quay-builder-${process.getuid?.() ?? 0}`);
  expect(await readdir(folder)).toHaveLength(1);
});

it('the bundle lies where something can be written, and not in a link of someone else', async () => {
  await put('one.pem', certificatePem(await authority('one')));
  await mkdir(join(directory, 'run'));
  await mkdir(join(directory, 'tmp'));
  await symlink('/etc', join(directory, 'run', `quay-builder-${process.getuid?.() ?? 0}`));
  const bundle = ['/proc', join(directory, 'run'), join(directory, 'tmp')];
  const { variables } = await gather({ bundle });
  expect(variables['SSL_CERT_FILE']).toContain(join(directory, 'tmp'));
  const nowhere = await gather({ bundle: ['/proc'] });
  expect(nowhere).toEqual({
    variables: {},
    warnings: [`${certs}: its certificates are of no effect: none of /proc can be written`],
  });
});

it('a place that a container does not have is not made: other users could not pass through it', async () => {
  await put('one.pem', certificatePem(await authority('one')));
  const { variables } = await gather({ bundle: [join(directory, 'none'), join(directory, 'shm')] });
  expect(variables['SSL_CERT_FILE']).toContain(join(directory, 'shm'));
  expect(await readdir(directory)).not.toContain('none');
});

it('a system without authorities gets those of Node', async () => {
  await put('one.pem', certificatePem(await authority('one')));
  const { variables } = await gather({ system: ['/nowhere'] });
  const text = await readFile(variables['SSL_CERT_FILE'] ?? '', 'utf8');
  expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(rootCertificates.length + 1);
});
