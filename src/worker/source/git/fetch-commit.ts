import { BuildError } from '../../../contract/build-errors.ts';
import { environmentOf, type GitAccess, type GitHome } from '../../../contract/git/access.ts';
import { explainFailure, isOfFailure, isRedirect, maskRemote } from '../../../contract/git/failures.ts';
import { runGit, type GitResult } from '../../../contract/git/process.ts';
import { findRedirect } from '../../../contract/git/redirect.ts';
import type { Remote } from '../../../contract/git/remote.ts';
import type { SourceLimits } from '../limits.ts';
import { saysNoSpace } from '../../disk/space.ts';
import type { SourceCall } from '../source.ts';
import { makeRepository } from './repository.ts';

export interface GitOptions extends GitAccess {
  readonly limits: SourceLimits;
}

/** What the repositories of one build share. */
export interface GitSession {
  readonly call: SourceCall;
  readonly options: GitOptions;
  readonly home: GitHome;
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
  const { call, options, home } = session;
  const { limits } = options;
  let remote = asked;
  let env = await environmentOf(remote, home, options);
  let told = Promise.resolve();
  const tell = (line: string): void => {
    const text = maskRemote(line, remote, options).trimEnd();
    // Why it failed is the error's to say, and some failures are followed by another way.
    if (text === '' || isOfFailure(text)) return;
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
  const fail = (code: 'gitfailure' | 'gitcheckout', result: GitResult): BuildError => {
    if (isOwnDiskFull(result)) {
      return new BuildError('internalerror', 'The worker could not keep the source on its disk (ENOSPC).');
    }
    const what = code === 'gitcheckout' ? `Commit ${commit} of ${remote.url}` : remote.url;
    return new BuildError(code, `${what}: ${explainFailure(result, remote, options)}`);
  };
  const need: CheckedOut['git'] = async (code, ...args) => {
    const result = await git(...args);
    if (!result.ok) throw fail(code, result);
    return result.answer;
  };

  await makeRepository(directory, remote.url, commit.length === 64 ? 'sha256' : 'sha1');
  const fetch = (): Promise<GitResult> =>
    git('fetch', '--progress', '--no-tags', '--depth=1', '--', 'origin', commit);
  let shallow = await fetch();
  for (let redirects = 0; isRedirect(remote, shallow); redirects += 1) {
    if (redirects >= limits.redirects) {
      throw new BuildError('gitfailure', `${asked.url} redirects more than ${limits.redirects} times.`);
    }
    remote = await findRedirect(remote, { network: options.network, limits, signal: call.signal });
    env = await environmentOf(remote, home, options);
    await need('gitfailure', 'remote', 'set-url', '--', 'origin', remote.url);
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

/** Whether git found no room where it runs; what the server says of its own disk does not count. */
function isOwnDiskFull({ output }: GitResult): boolean {
  return output.split(/[\r\n]+/).some((line) => !line.startsWith('remote:') && saysNoSpace(line));
}
