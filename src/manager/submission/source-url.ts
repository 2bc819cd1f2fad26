import { readSshUrl } from '../../contract/git/ssh-url.ts';
import { ApiProblem } from '../http/problems.ts';

/** URLs that users give as a source: what of them may be shown, and what is a secret. */

export interface SourceUrl {
  /** As the worker uses it, credentials and all. */
  readonly whole: string;
  /** Without userinfo, query and fragment: what is stored in plain and shown. */
  readonly shown: string;
  /** Null when the URL has none. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
  /** Whether git gets there over ssh, with a key. */
  readonly ssh: boolean;
}

const HTTP = /^https?:\/\/[^\s\p{Cc}]+$/iu;

/** Reads the URL of an archive, which `z.url` has found to be http or https. */
export function readPackageUrl(text: string): SourceUrl {
  return split(new URL(text));
}

/**
 * Reads the URL of a git repository. Only http, https and ssh: other protocols reach files and programs of the manager's and the worker's
 * machine.
 *
 * @throws ApiProblem `git_url_refused`
 */
export function readGitUrl(text: string): SourceUrl {
  const ssh = readSshUrl(text);
  if (typeof ssh === 'string') throw new ApiProblem('git_url_refused', { specifically: ssh });
  if (ssh) return { whole: ssh.url, shown: ssh.url, credentials: null, ssh: true };
  const url = HTTP.test(text) ? URL.parse(text) : null;
  if (url === null) throw new ApiProblem('git_url_refused');
  const specifically = wrongPart(url);
  if (specifically !== null) throw new ApiProblem('git_url_refused', { specifically });
  return split(url);
}

function wrongPart({ pathname, hash, search }: URL): string | null {
  if (hash !== '') return 'It has a #: give the branch, tag or commit as ref.';
  // Git takes it for a part of the path.
  if (search !== '') return 'It has a query: give credentials as user and password.';
  return pathname === '/' ? 'It has no path.' : null;
}

function split(url: URL): SourceUrl {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  shown.search = '';
  shown.hash = '';
  const credentials =
    url.username === '' && url.password === ''
      ? null
      : { username: decode(url.username), password: decode(url.password) };
  return { whole: url.href, shown: shown.href, credentials, ssh: false };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
