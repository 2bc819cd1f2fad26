import { createHash, X509Certificate } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { reasonOf } from '../contract/reason.ts';

/** The variables by which Node, git and what is linked with OpenSSL find certificate authorities. */
const VARIABLES = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'GIT_SSL_CAINFO'];
/** What a file of certificates is called. */
const NAME = /\.(?:pem|crt|cer|cert)$/i;
/** The largest file that is read, in bytes: all authorities of a system are a quarter of a megabyte. */
const FILE_MAX_BYTES = 4 * 1024 * 1024;
const FILES_MAX = 1000;

export interface AuthorityPlaces {
  /** The folder of the authorities that are added. */
  readonly added: string;
  /** Where a system may keep its own, in one file; the first that is there counts. */
  readonly system: readonly string[];
  /** Where the bundle may lie, best first. */
  readonly bundle: readonly string[];
}

/** The authorities that a program starts with. */
export interface Authorities {
  /** What its environment gets; nothing when none are added. */
  readonly variables: Readonly<Record<string, string>>;
  /** What was not as it should be: a sentence each, naming the file. */
  readonly warnings: readonly string[];
}

/**
 * Makes one bundle of the system's authorities and of those that are added: PEM with one or several certificates, or DER. What
 * cannot be read is left out and told of. A variable that `environment` has already is left as it is. Never throws.
 */
export async function gatherAuthorities(
  places: AuthorityPlaces,
  environment: Readonly<NodeJS.ProcessEnv>,
): Promise<Authorities> {
  const warnings: string[] = [];
  const certificates = new Map<string, string>();
  for (const path of await filesIn(places.added, warnings)) {
    for (const certificate of await readCertificates(path, warnings))
      certificates.set(certificate.fingerprint256, certificate.toString());
  }
  if (certificates.size === 0) return { variables: {}, warnings };
  const own = [...certificates.values()].map((pem) => `${pem.trim()}\n`).join('');
  const bundle = await keep(`${await systemAuthorities(places.system)}\n${own}`, places.bundle);
  if (bundle === null) {
    warnings.push(
      `${places.added}: its certificates are of no effect: none of ${places.bundle.join(', ')} can be written`,
    );
    return { variables: {}, warnings };
  }
  const unset = VARIABLES.filter((name) => (environment[name] ?? '') === '');
  return { variables: Object.fromEntries(unset.map((name) => [name, bundle])), warnings };
}

/** The files of certificates in a folder, which need not be there. */
async function filesIn(folder: string, warnings: string[]): Promise<readonly string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') warnings.push(`${folder}: ${reasonOf(error)}`);
    return [];
  }
  // Kubernetes mounts links beside folders of its own, whose names begin with a dot.
  const shown = names.filter((name) => !name.startsWith('.')).sort();
  const found = shown.filter((name) => NAME.test(name));
  for (const name of shown.filter((each) => !found.includes(each)))
    warnings.push(
      `${join(folder, name)}: it is not read: its name ends in none of .pem, .crt, .cer and .cert`,
    );
  if (found.length > FILES_MAX) warnings.push(`${folder}: only the first ${FILES_MAX} files are read`);
  return found.slice(0, FILES_MAX).map((name) => join(folder, name));
}

async function readCertificates(path: string, warnings: string[]): Promise<readonly X509Certificate[]> {
  let bytes: Buffer;
  try {
    const stats = await stat(path);
    // Docker makes a folder where the file that it should mount is not there.
    if (stats.isDirectory()) throw new Error('it is a folder: is the file there that was to be mounted?');
    if (stats.size > FILE_MAX_BYTES) throw new Error(`it is larger than ${FILE_MAX_BYTES} bytes`);
    bytes = await readFile(path);
  } catch (error) {
    warnings.push(`${path}: ${reasonOf(error)}`);
    return [];
  }
  const pems = bytes.toString('latin1').match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs);
  const found: X509Certificate[] = [];
  for (const [index, encoded] of (pems ?? [bytes]).entries()) {
    try {
      const certificate = new X509Certificate(encoded);
      found.push(certificate);
      if (certificate.validToDate < new Date())
        warnings.push(`${path}: certificate ${index + 1} has expired (${certificate.validTo})`);
    } catch {
      warnings.push(
        pems === null
          ? `${path}: it holds no certificate, in PEM or DER`
          : `${path}: certificate ${index + 1} cannot be read, and is left out`,
      );
    }
  }
  return found;
}

/** The system's own authorities; those that Node brings where the system has none. */
async function systemAuthorities(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text !== '') return text;
  }
  return rootCertificates.join('\n');
}

/**
 * Writes a bundle under a name that its content gives, in a folder of this user's own: who starts a second program beside the first,
 * as a health check does, finds it there. Answers with its path, or null where nothing can be written.
 */
async function keep(text: string, places: readonly string[]): Promise<string | null> {
  const name = `authorities-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.pem`;
  for (const place of places) {
    const folder = join(place, `quay-builder-${process.getuid?.() ?? 0}`);
    const path = join(folder, name);
    try {
      await makeOwnFolder(folder);
      if ((await readFile(path, 'utf8').catch(() => '')) === text) return path;
      const draft = `${path}.${process.pid}`;
      await writeFile(draft, text);
      // Whatever the umask is: the program that reads it runs as another user.
      await chmod(draft, 0o644);
      await rename(draft, path);
      return path;
    } catch {
      // The next place may be better.
    }
  }
  return null;
}

/**
 * In a folder that all may write to, someone else may have made it first. The place itself is not made: other users, as the one that the
 * program becomes, could not pass through it.
 */
async function makeOwnFolder(folder: string): Promise<void> {
  await mkdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  const stats = await lstat(folder);
  if (!stats.isDirectory() || stats.uid !== process.getuid?.())
    throw new Error(`${folder} is someone else's`);
  await chmod(folder, 0o755);
}
