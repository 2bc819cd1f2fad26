import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../../contract/build-errors.ts';
import { environmentOf, openHome, type GitAccess, type GitHome } from '../../contract/git/access.ts';
import { explainFailure, isRedirect } from '../../contract/git/failures.ts';
import { runGit } from '../../contract/git/process.ts';
import { findRedirect } from '../../contract/git/redirect.ts';
import { parseRemote, type Remote } from '../../contract/git/remote.ts';
import { isUnknownHost } from '../../contract/git/ssh.ts';
import { ForbiddenAddress } from '../../contract/network/addresses.ts';
import { isCommit } from '../../contract/references.ts';
import { ApiProblem, type ProblemCode } from '../http/problems.ts';
import { GIT_WORDS_MAX, REFS_RETRY_SECONDS } from './limits.ts';
import type { SourceUrl } from './source-url.ts';
import type { Turns } from './turns.ts';

/**
 * Finds the commit that a branch or tag points to now. `null` stands for the default branch; a whole commit id is taken as it
 * is, without asking. `privateKey` is for a repository over ssh. Throws an ApiProblem: `git_ref_not_found`, `git_denied`,
 * `git_key_refused`, `git_host_refused`, `git_unreachable`, `git_busy`.
 */
export type ResolveRef = (url: SourceUrl, ref: string | null, privateKey: string) => Promise<string>;

export interface RefResolverOptions {
  readonly access: GitAccess;
  /** A folder that only this manager reads; each call of git has one of its own in it, with the key, while it runs. */
  readonly directory: string;
  readonly turns: Turns;
  /** How long all of it may take, in milliseconds, the wait for a turn not counted. */
  readonly withinMs: number;
  /** Ends what is under way: the manager stops. */
  readonly signal: AbortSignal;
}

/** What git forbids in a ref's name (git-check-ref-format), of what could mean something else to a program. */
const NOT_A_REF = /^$|[\p{Cc} ~^:?*[\\]|\.\.|@\{|^[-/]|\/$|\/\/|\.lock$|^@$/u;
const LINE = /^([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)$/;
const PEELED = '^{}';
const DENIED =
  /Authentication failed|could not read Username|terminal prompts disabled|requested URL returned error: 40[134]|not found|access denied|does not accept the private key|does not appear to be a git repository/i;

/** Resolves refs with `git ls-remote`, which needs no clone: through the same guard and proxies as a worker fetches them. */
export function createRefResolver(options: RefResolverOptions): ResolveRef {
  return async (url, ref, privateKey) => {
    const commitId = ref?.toLowerCase() ?? '';
    if (isCommit(commitId)) return commitId;
    if (ref !== null && NOT_A_REF.test(ref)) throw notFound(ref);
    // In the order of `git clone --branch`: a branch before a tag.
    const names =
      ref === null || ref === 'HEAD'
        ? ['HEAD']
        : [...(ref.startsWith('refs/') ? [ref] : []), `refs/heads/${ref}`, `refs/tags/${ref}`];
    const refs = await listRefs(url, names, privateKey, options);
    for (const name of names) {
      // An annotated tag is an object of its own; what it points to is listed as peeled.
      const commit = refs.get(name + PEELED) ?? refs.get(name);
      if (commit !== undefined) return commit;
    }
    throw notFound(ref);
  };
}

function notFound(ref: string | null): ApiProblem {
  const specifically =
    ref === null ? 'It has no default branch: is it empty?' : `It has no ${JSON.stringify(ref)}.`;
  return new ApiProblem('git_ref_not_found', { specifically });
}

async function listRefs(
  url: SourceUrl,
  names: readonly string[],
  privateKey: string,
  { access, directory, turns, withinMs, signal: stopping }: RefResolverOptions,
): Promise<Map<string, string>> {
  using turn = await turns.take();
  if (turn === null) throw new ApiProblem('git_busy', { retryAfterSeconds: REFS_RETRY_SECONDS });
  const late = AbortSignal.timeout(withinMs);
  const signal = AbortSignal.any([late, stopping]);
  const folder = await mkdtemp(join(directory, 'ref-'));
  try {
    const home = openHome(folder, privateKey, signal, access);
    const output = await askServer(url, names, home, access);
    const refs = new Map<string, string>();
    for (const line of output.split('\n')) {
      const [, commit, name] = LINE.exec(line) ?? [];
      if (commit !== undefined && name !== undefined) refs.set(name, commit);
    }
    return refs;
  } catch (error) {
    if (stopping.aborted) throw problem('git_unreachable', 'This manager is stopping.', error);
    if (late.aborted) throw problem('git_unreachable', 'It took too long.', error);
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What `git ls-remote` answers, from where the server redirects to. */
async function askServer(
  url: SourceUrl,
  names: readonly string[],
  home: GitHome,
  access: GitAccess,
): Promise<string> {
  const patterns = names.flatMap((name) => [name, name + PEELED]);
  let remote: Remote = await told('git_url_refused', () => parseRemote(url.whole));
  if (url.ssh) await told('git_key_refused', home.keyFile);
  for (let redirects = 0; ; redirects += 1) {
    const asked = remote;
    const env = await told('git_unreachable', () => environmentOf(asked, home, access));
    const result = await runGit(['ls-remote', '--quiet', '--', asked.url, ...patterns], {
      executable: access.executable,
      cwd: home.home,
      env,
      signal: home.signal,
      silenceMs: access.limits.gitSilenceMs,
      outputKept: access.limits.gitOutputKept,
      onLine: () => undefined,
    });
    if (result.ok && result.answer !== null) return result.answer;
    if (result.ok) throw problem('git_unreachable', 'It lists more than is read.');
    if (!isRedirect(asked, result)) {
      const words = explainFailure(result, asked, access);
      const code = isUnknownHost(result.output)
        ? 'git_host_refused'
        : DENIED.test(words)
          ? 'git_denied'
          : 'git_unreachable';
      throw problem(code, `Git says: ${words}`);
    }
    if (redirects >= access.limits.redirects) throw problem('git_unreachable', 'It redirects too often.');
    remote = await told('git_unreachable', () =>
      findRedirect(asked, { network: access.network, limits: access.limits, signal: home.signal }),
    );
  }
}

/** Does a part of it, whose failure is this refusal; an address that is forbidden is one of its own. */
async function told<T>(code: ProblemCode, part: () => T | Promise<T>): Promise<T> {
  try {
    return await part();
  } catch (error) {
    if (!(error instanceof BuildError) || error.code !== 'gitfailure') throw error;
    throw problem(error.cause instanceof ForbiddenAddress ? 'git_host_refused' : code, error.message, error);
  }
}

function problem(code: ProblemCode, words: string, cause?: unknown): ApiProblem {
  const said = words.replace(/\s+/g, ' ').trim().slice(0, GIT_WORDS_MAX);
  return new ApiProblem(code, { specifically: said, cause });
}
