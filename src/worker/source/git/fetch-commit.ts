import { isIP } from 'node:net';
import { BuildError } from '../../../contract/build-errors.ts';
import { createMasker } from '../../../contract/masking.ts';
import { ForbiddenAddress, type HostAddress } from '../../../contract/network/addresses.ts';
import { resolveHost, type Network } from '../../../contract/network/http-client.ts';
import type { SourceLimits } from '../limits.ts';
import type { SourceCall } from '../source.ts';
import { formatDuration } from '../../../contract/words.ts';
import { gitEnvironment } from '../../../contract/git/environment.ts';
import { runGit, type GitResult } from '../../../contract/git/process.ts';
import { proxyFor } from '../../../contract/network/proxies.ts';
import { findRedirect } from '../../../contract/git/redirect.ts';
import type { Remote } from '../../../contract/git/remote.ts';
import { explainSsh, sshCommand, type KnownHosts } from '../../../contract/git/ssh.ts';

export interface GitOptions {
  readonly limits: SourceLimits;
  /** The program, a path or a name in `searchPath`. */
  readonly executable: string;
  /** The PATH that git and its helpers are looked up in. */
  readonly searchPath: string;
  readonly knownHosts: KnownHosts;
  readonly network: Network;
}

/** What the repositories of one build share. */
export interface GitSession {
  readonly call: SourceCall;
  readonly options: GitOptions;
  /** Git's HOME, a folder of the build's own. */
  readonly home: string;
  /** The file of the build's key, written when it is first asked for. */
  readonly keyFile: () => Promise<string>;
}

/** A commit on disk. */
export interface CheckedOut {
  readonly directory: string;
  /** Runs git in it. Throws a BuildError of this code when it fails; answers with its standard output, null when that is too long. */
  readonly git: (code: 'gitfailure' | 'gitcheckout', ...args: string[]) => Promise<string | null>;
}

/** The server has no such object, or does not show it. */
const NO_SUCH_COMMIT = /not our ref/i;
/** Servers that give only the tips of their branches, or no shallow history: the whole history must be fetched. */
const ONLY_WHOLE =
  /unadvertised object|does not support shallow|dumb http transport|does not support --depth|want [0-9a-f]+ not valid/i;
const REDIRECTED = /returned error: 30[12378]/;
const FAILURE = /^(?:fatal|error|remote error): /i;
/** What git says of any failure of ssh, after what tells more. */
const BOILERPLATE =
  /^(?:fatal: Could not read from remote repository\.|Please make sure you have the correct access rights|and the repository exists\.)/i;
/** Every branch and tag, as a clone takes them. */
const ALL_REFS = ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'];

/**
 * Checks one commit of a repository out in `directory`, which is there and empty, with its `.git`. Throws a BuildError
 * `gitfailure` when the repository cannot be fetched, `gitcheckout` when the commit is not in it.
 */
export async function fetchCommit(
  asked: Remote,
  commit: string,
  directory: string,
  session: GitSession,
): Promise<CheckedOut> {
  const { call, options } = session;
  const { limits, knownHosts } = options;
  let remote = asked;
  let env = await environmentOf(remote, session);
  let told = Promise.resolve();
  const tell = (line: string): void => {
    const text = mask(line, remote).trimEnd();
    // Why it failed is the error's to say, and some failures are followed by another way.
    if (text === '' || FAILURE.test(text) || BOILERPLATE.test(text)) return;
    told = told.then(() => call.onMessage({ stream: `${text}\n` }));
    // A reader that fails is heard of where `told` is awaited.
    told.catch(() => undefined);
  };
  const git = async (...args: string[]): Promise<GitResult> => {
    const result = await runGit(args, {
      executable: options.executable,
      cwd: directory,
      env,
      signal: call.signal,
      silenceMs: limits.gitSilenceMs,
      outputKept: limits.gitOutputKept,
      onLine: tell,
    });
    await told;
    return result;
  };
  const fail = (code: 'gitfailure' | 'gitcheckout', { stalled, output }: GitResult): BuildError => {
    const explained = remote.protocol === 'ssh' ? explainSsh(output, remote, knownHosts) : null;
    const why = stalled
      ? `git was silent for ${formatDuration(limits.gitSilenceMs)}`
      : (explained ?? lastWords(output));
    const what = code === 'gitcheckout' ? `Commit ${commit} of ${remote.url}` : remote.url;
    return new BuildError(code, mask(`${what}: ${why}`, remote));
  };
  const need: CheckedOut['git'] = async (code, ...args) => {
    const result = await git(...args);
    if (!result.ok) throw fail(code, result);
    return result.answer;
  };

  const format = commit.length === 64 ? ['--object-format=sha256'] : [];
  await need('gitfailure', 'init', '--quiet', '--template=', ...format, '.');
  await need('gitfailure', 'config', 'remote.origin.fetch', ALL_REFS[0] ?? '');
  const fetch = async (): Promise<GitResult> => {
    await need('gitfailure', 'config', 'remote.origin.url', remote.url);
    return git('fetch', '--progress', '--no-tags', '--depth=1', '--', 'origin', commit);
  };
  let shallow = await fetch();
  for (let redirects = 0; remote.protocol === 'http' && REDIRECTED.test(shallow.output); redirects += 1) {
    if (redirects >= limits.redirects) {
      throw new BuildError('gitfailure', `${asked.url} redirects more than ${limits.redirects} times.`);
    }
    remote = await findRedirect(remote, { network: options.network, limits, signal: call.signal });
    env = await environmentOf(remote, session);
    shallow = await fetch();
  }
  if (!shallow.ok) {
    if (NO_SUCH_COMMIT.test(shallow.output)) throw fail('gitcheckout', shallow);
    if (shallow.stalled || !ONLY_WHOLE.test(shallow.output)) throw fail('gitfailure', shallow);
    await call.onMessage({ stream: 'The server gives no single commits: fetching all branches and tags.\n' });
    await need('gitfailure', 'fetch', '--progress', '--no-tags', '--', 'origin', ...ALL_REFS);
  }
  await need('gitcheckout', 'checkout', '--progress', '--force', '--detach', commit, '--');
  return { directory, git: need };
}

/** What git runs in, with the addresses that it may connect to. Throws a BuildError `gitfailure` when the host has none. */
async function environmentOf(
  remote: Remote,
  { call, options, home, keyFile }: GitSession,
): Promise<Record<string, string>> {
  const { guard, proxies } = options.network;
  const proxy = remote.protocol === 'http' ? proxyFor(new URL(remote.url), proxies) : null;
  let found: readonly HostAddress[] | null;
  try {
    found = await resolveHost(remote.host, proxy, guard, call.signal);
  } catch (error) {
    call.signal.throwIfAborted();
    const why =
      error instanceof ForbiddenAddress
        ? error.message
        : `the host ${remote.host} could not be found (${codeOf(error)})`;
    throw new BuildError('gitfailure', `${remote.url}: ${why}`, { cause: error });
  }
  const addresses = found?.map((each) => each.address) ?? null;
  const ssh =
    remote.protocol === 'ssh'
      ? sshCommand(remote, addresses?.[0] ?? remote.host, await keyFile(), options)
      : null;
  const pinned = ssh === null && isIP(remote.host) === 0 ? addresses : null;
  return gitEnvironment(remote, home, options.searchPath, options.limits, { ssh, proxy, addresses: pinned });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

/** The line that says why git failed, without its label. */
function lastWords(output: string): string {
  const lines = output.split(/[\r\n]+/).filter((line) => line.trim() !== '' && !BOILERPLATE.test(line));
  const telling = lines.findLast((line) => FAILURE.test(line)) ?? lines.at(-1);
  return telling?.replace(/^(?:fatal|error): /, '').trim() ?? 'git ended without a word';
}

function mask(text: string, remote: Remote): string {
  return createMasker(remote.secrets).mask(text);
}
