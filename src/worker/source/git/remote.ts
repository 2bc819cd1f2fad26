import { BuildError } from '../../../contract/build-errors.ts';
import { isCommit } from '../../../contract/references.ts';
import { quote } from '../words.ts';

/** A repository as git may be told of it. */
export type Remote = HttpRemote | SshRemote;

interface RemotePlace {
  /** Without credentials. */
  readonly url: string;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** What must not be shown: the credentials, as written and decoded. */
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
const SCP_LIKE = /^([^@/:]+)@(\[[^\]]*\]|[^@/:[\]]+):([^:].*)$/;
/** Nothing that ssh or a shell could take for something else. */
const USER = /^[A-Za-z0-9_][\w.-]{0,63}$/;
const HOST = /^(?:[A-Za-z0-9](?:[\w.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])$/;
export const SSH_PORT = 22;

/** Reads a repository's URL. Throws a BuildError `gitfailure` for one that this worker does not fetch from. */
export function parseRemote(text: string): Remote {
  if (text.startsWith('-') || CONTROL.test(text)) {
    throw refused('The URL of the git repository begins with a dash or holds control characters.');
  }
  const scp = SCP_LIKE.exec(text);
  if (scp) {
    const [, user = '', host = '', path = ''] = scp;
    return sshRemote(text, user, host, '', path);
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return httpRemote(url);
  if (url?.protocol !== 'ssh:') {
    throw refused(
      `The URL of the git repository is of ${url === null ? 'no scheme' : `the scheme ${quote(url.protocol)}`} that may be used.`,
    );
  }
  if (url.password !== '') {
    throw refused('The URL of the git repository has a password, which git over ssh does not use.');
  }
  if (url.search !== '' || url.hash !== '') {
    throw refused('The ssh URL of the git repository has a query or a fragment.');
  }
  return sshRemote(url.href, url.username, url.hostname, url.port, url.pathname.slice(1));
}

function sshRemote(url: string, user: string, host: string, port: string, path: string): SshRemote {
  if (!USER.test(user)) {
    throw refused('The ssh URL of the git repository names no user, or an odd one: most servers want git@.');
  }
  if (!HOST.test(host)) throw refused(`The host ${quote(host)} of the git repository is no host name.`);
  if (path === '' || path.startsWith('-')) {
    throw refused('The ssh URL of the git repository has no path, or one that begins with a dash.');
  }
  return {
    protocol: 'ssh',
    url,
    host: host.replace(/^\[|\]$/g, ''),
    port: port === '' ? SSH_PORT : Number(port),
    secrets: [],
  };
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
  const secrets = [url.username, url.password, username, password].filter((secret) => secret !== '');
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
