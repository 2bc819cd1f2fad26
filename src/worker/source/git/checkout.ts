import { chmod, mkdir, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BuildError } from '../../../contract/build-errors.ts';
import { openHome } from '../../../contract/git/access.ts';
import type { SourceCall } from '../source.ts';
import { quote } from '../../../contract/words.ts';
import { fetchCommit, type GitOptions, type GitSession } from './fetch-commit.ts';
import { parseCommit, parseRemote, type Remote } from '../../../contract/git/remote.ts';
import { usesLfs } from './lfs.ts';
import { listSubmodules, submoduleUrl, type Submodule } from './submodules.ts';
import { setContentTimes } from './times.ts';

const LFS_NOTE =
  'This commit keeps files in Git LFS, which is not fetched: they are in the context as the pointers that git has.\n';

/** A commit, as the build argument `git` names it. */
interface GitSource {
  readonly url: string;
  readonly sha: string;
  /** The key for git over ssh; may be empty. */
  readonly private_key: string;
}

/**
 * Checks one commit of a repository out below the call's folder, with its `.git` and its submodules, and answers with the work tree.
 * The build's key is on disk only while git needs it. Throws a BuildError `gitfailure` when the repository cannot be fetched,
 * `gitcheckout` when the commit is not in it, or a submodule cannot be fetched.
 */
export async function checkOut(source: GitSource, call: SourceCall, options: GitOptions): Promise<string> {
  const remote = parseRemote(source.url);
  const commit = parseCommit(source.sha);
  const directory = join(call.directory, 'context');
  const home = join(call.directory, 'home');
  await mkdir(directory);
  await chmod(directory, 0o755);
  await mkdir(home);
  try {
    const session = { call, options, home: openHome(home, source.private_key, call.signal, options) };
    const left = { submodules: options.limits.submodules };
    await fetchTree(remote, commit, { directory, path: '', depth: 0 }, session, left);
    return directory;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

interface Place {
  readonly directory: string;
  /** Below the work tree of the build, for messages. */
  readonly path: string;
  readonly depth: number;
}

/** A commit, and those of its submodules in the same way: each exactly, with no way of git's own that a repository could bend. */
async function fetchTree(
  remote: Remote,
  commit: string,
  place: Place,
  session: GitSession,
  left: { submodules: number },
): Promise<void> {
  const { limits } = session.options;
  const tree = await fetchCommit(remote, commit, place.directory, session);
  await setContentTimes(tree.directory, commit.length === 64 ? 32 : 20);
  if (await usesLfs(tree.directory)) await session.call.onMessage({ stream: LFS_NOTE });
  for (const submodule of await listSubmodules(tree)) {
    const path = posix.join(place.path, submodule.path);
    left.submodules -= 1;
    if (left.submodules < 0 || place.depth >= limits.submoduleDepth) {
      throw new BuildError(
        'gitcheckout',
        `Submodule ${quote(path)}: at most ${limits.submodules} are fetched, ${limits.submoduleDepth} within each other.`,
      );
    }
    await session.call.onMessage({ stream: `Submodule ${quote(path)}\n` });
    const inner = { directory: submodule.directory, path, depth: place.depth + 1 };
    try {
      await fetchTree(readRemote(remote, submodule), parseCommit(submodule.commit), inner, session, left);
    } catch (error) {
      session.call.signal.throwIfAborted();
      if (!(error instanceof BuildError) || error.code === 'internalerror') throw error;
      const message = error.message.startsWith('Submodule ')
        ? error.message
        : `Submodule ${quote(path)}: ${error.message}`;
      throw new BuildError('gitcheckout', message, { cause: error });
    }
  }
}

function readRemote(parent: Remote, { url }: Submodule): Remote {
  return parseRemote(submoduleUrl(parent, url));
}
