import { BuildError } from '../build-errors.ts';
import { readSshUrl } from './ssh-url.ts';
import { urlSecrets } from '../masking.ts';
import { isCommit } from '../references.ts';
import { quote } from '../words.ts';

/** A repository as git may be told of it. */
export type Remote = HttpRemote | SshRemote;

interface RemotePlace {
  /** Without credentials. */
  readonly url: string;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** What must not be shown: of the credentials, what lets their reader in. */
  readonly secrets: readonly string[];
}

export interface HttpRemote extends RemotePlace {
  readonly protocol: 'http';
  readonly origin: string;
  /** Offered to `origin` only, when it asks; null when the URL held none. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

/** `ssh://user@host[:port]/path`, or `user@host:path`, whose path begins in that user's home. */
export interface SshRemote extends RemotePlace {
  readonly protocol: 'ssh';
}

/** What could begin a new line in what git reads. */
const CONTROL = /\p{Cc}/u;

/** Reads a repository's URL. Throws a BuildError `gitfailure` for one that this worker does not fetch from. */
export function parseRemote(text: string): Remote {
  if (text.startsWith('-') || CONTROL.test(text)) {
    throw refused('The URL of the git repository begins with a dash or holds control characters.');
  }
  const ssh = readSshUrl(text);
  if (typeof ssh === 'string') throw refused(ssh);
  if (ssh) return { protocol: 'ssh', ...ssh, secrets: [] };
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return httpRemote(url);
  throw refused(
    `The URL of the git repository is of ${url === null ? 'no scheme' : `the scheme ${quote(url.protocol)}`} that may be used.`,
  );
}

function httpRemote(url: URL): HttpRemote {
  if (url.search !== '') {
    // Git would show it in its arguments and keep it in the work tree.
    throw refused('The URL of the git repository has a query: give credentials as user and password.');
  }
  const username = decode(url.username);
  const password = decode(url.password);
  if (CONTROL.test(username) || CONTROL.test(password)) {
    throw refused('The credentials in the URL of the git repository hold control characters.');
  }
  const secrets = urlSecrets(url.href);
  url.username = '';
  url.password = '';
  url.hash = '';
  return {
    protocol: 'http',
    url: url.href,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
    origin: url.origin,
    credentials: username === '' && password === '' ? null : { username, password },
    secrets,
  };
}

/** Checks a commit's id. Throws a BuildError `gitcheckout` for anything but a whole one. */
export function parseCommit(text: string): string {
  const commit = text.toLowerCase();
  if (isCommit(commit)) return commit;
  throw new BuildError(
    'gitcheckout',
    `${quote(text)} is no commit id. Give all 40 (or 64) hexadecimal digits of it.`,
  );
}

function refused(what: string): BuildError {
  return new BuildError('gitfailure', `${what} Give an http, https or ssh URL.`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
