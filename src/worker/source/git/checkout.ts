import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceCall } from '../source.ts';
import { fetchCommit, type GitOptions, type GitSession } from './fetch-commit.ts';
import { runGit } from './process.ts';
import { parseCommit, parseRemote } from './remote.ts';
import { writeKey } from './ssh.ts';

/** A commit, as the build argument `git` names it. */
interface GitSource {
  readonly url: string;
  readonly sha: string;
  /** The key for git over ssh; may be empty. */
  readonly private_key: string;
}

/**
 * Checks one commit of a repository out below the call's folder, with its `.git`, and answers with the work tree. The build's key is
 * on disk only while git needs it. Throws a BuildError `gitfailure` when the repository cannot be fetched, `gitcheckout` when the
 * commit is not in it.
 */
export async function checkOut(source: GitSource, call: SourceCall, options: GitOptions): Promise<string> {
  const remote = parseRemote(source.url);
  const commit = parseCommit(source.sha);
  const directory = join(call.directory, 'context');
  const home = join(call.directory, 'home');
  await mkdir(directory);
  await mkdir(home);
  try {
    await fetchCommit(remote, commit, directory, openSession(source.private_key, home, call, options));
    return directory;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

function openSession(key: string, home: string, call: SourceCall, options: GitOptions): GitSession {
  const { limits, searchPath } = options;
  let keyFile: Promise<string> | null = null;
  return {
    call,
    options,
    home,
    keyFile: () =>
      (keyFile ??= writeKey(key, home, (...args) =>
        runGit(args, {
          executable: 'ssh-keygen',
          cwd: home,
          env: { PATH: searchPath, HOME: home, LC_ALL: 'C' },
          signal: call.signal,
          silenceMs: limits.gitSilenceMs,
          outputKept: limits.gitOutputKept,
          // What it says of a key that is wrong is for `writeKey` to put into words.
          onLine: () => undefined,
        }),
      )),
  };
}
