import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from './process.ts';

/** A file's content; its content and mode; where it links to; or the submodule that lies there. */
type GitFile =
  | string
  | { readonly content: string; readonly executable: true }
  | { readonly link: string }
  | { readonly submodule: string; readonly sha: string };

export interface LabRepositories {
  /** Makes a commit with exactly these files on the branch `main` of `NAME.git`, made when it is new, and answers with its id. */
  commit(name: string, files: Readonly<Record<string, GitFile>>): Promise<string>;
  /** Makes `NAME.git` of a stream of `git fast-import`, packed as a server keeps it, and answers with the id of its branch `main`. */
  importHistory(name: string, stream: string): Promise<string>;
}

/** Bare repositories in the folder `root`, for a server to serve. */
export function createRepositories(root: string): LabRepositories {
  const git = (cwd: string, ...args: string[]): Promise<string> => gitWith('', cwd, ...args);
  const gitWith = (input: string, cwd: string, ...args: string[]): Promise<string> =>
    run('git', ['-c', 'init.defaultBranch=main', ...args], {
      cwd,
      input,
      env: {
        PATH: process.env['PATH'],
        HOME: root,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_AUTHOR_NAME: 'lab',
        GIT_AUTHOR_EMAIL: 'lab@lab.invalid',
        GIT_COMMITTER_NAME: 'lab',
        GIT_COMMITTER_EMAIL: 'lab@lab.invalid',
      },
    });

  return {
    commit: async (name, files) => {
      const bare = join(root, `${name}.git`);
      const tree = await mkdtemp(join(root, 'tree-'));
      await git(root, 'init', '--quiet', '--bare', bare);
      await git(root, 'clone', '--quiet', bare, tree);
      await git(tree, 'rm', '-r', '--quiet', '--ignore-unmatch', '.');
      for (const [path, file] of Object.entries(files)) await putFile(tree, path, file);
      await git(tree, 'add', '--all');
      for (const [path, file] of Object.entries(files)) {
        if (typeof file === 'string' || !('submodule' in file)) continue;
        await git(tree, 'config', '--file', '.gitmodules', `submodule.${path}.path`, path);
        await git(tree, 'config', '--file', '.gitmodules', `submodule.${path}.url`, file.submodule);
        await git(tree, 'update-index', '--add', '--cacheinfo', `160000,${file.sha},${path}`);
        await git(tree, 'add', '.gitmodules');
      }
      await git(tree, 'commit', '--quiet', '--allow-empty', '-m', 'A commit of the lab');
      await git(tree, 'push', '--quiet', 'origin', 'HEAD:refs/heads/main');
      const commit = await git(tree, 'rev-parse', 'HEAD');
      await rm(tree, { recursive: true });
      return commit.trim();
    },
    importHistory: async (name, stream) => {
      const bare = join(root, `${name}.git`);
      await git(root, 'init', '--quiet', '--bare', bare);
      await gitWith(stream, bare, 'fast-import', '--quiet');
      await git(bare, 'gc', '--quiet');
      const commit = await git(bare, 'rev-parse', 'refs/heads/main');
      return commit.trim();
    },
  };
}

async function putFile(tree: string, path: string, file: GitFile): Promise<void> {
  const place = join(tree, path);
  await mkdir(dirname(place), { recursive: true });
  if (typeof file === 'string') await writeFile(place, file);
  else if ('link' in file) await run('ln', ['-s', file.link, place]);
  else if ('content' in file) await writeFile(place, file.content, { mode: 0o755 });
}
