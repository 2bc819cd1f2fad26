import { lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../../../contract/build-errors.ts';
import { quote } from '../../../contract/words.ts';
import type { CheckedOut } from './fetch-commit.ts';
import type { Remote } from '../../../contract/git/remote.ts';

/** A repository within a commit (gitmodules(5)), which is not fetched yet. */
export interface Submodule {
  /** Below the work tree. */
  readonly path: string;
  /** As `.gitmodules` has it: relative ones begin with `./` or `../`. */
  readonly url: string;
  readonly commit: string;
  /** The folder, which git has made, empty. */
  readonly directory: string;
}

const KEYS = String.raw`^submodule\..+\.(path|url|update)$`;
const COMMIT_ENTRY = /^160000 commit ([0-9a-f]+)\t/;

/**
 * The submodules that a commit has and `.gitmodules` knows, in the order of the file; without those with `update = none`. Throws a
 * BuildError `gitcheckout` when the file cannot be read.
 */
export async function listSubmodules({ directory, git }: CheckedOut): Promise<Submodule[]> {
  const there = await lstat(join(directory, '.gitmodules')).catch(() => null);
  if (!there) return [];
  // Out of the commit, not of the work tree, where it may be a link; and nothing that it would include.
  const answer = await git(
    'gitcheckout',
    ...['config', '--blob', 'HEAD:.gitmodules', '--no-includes', '--null', '--get-regexp', KEYS],
  );
  if (answer === null) throw failure('The file .gitmodules is too long.');
  const found: Submodule[] = [];
  for (const { path, url, update } of readSettings(answer).values()) {
    if (path === undefined || update === 'none') continue;
    const entry = (await git('gitcheckout', 'ls-tree', '-z', 'HEAD', '--', path)) ?? '';
    const commit = COMMIT_ENTRY.exec(entry)?.[1];
    if (commit === undefined) continue;
    if (url === undefined) throw failure(`The submodule ${quote(path)} has no url in .gitmodules.`);
    found.push({ path, url, commit, directory: await emptyFolder(directory, path) });
  }
  return found;
}

interface Settings {
  path?: string;
  url?: string;
  update?: string;
}

/** What `git config --null` lists, by the submodules' names. */
function readSettings(answer: string): Map<string, Settings> {
  const modules = new Map<string, Settings>();
  for (const record of answer.split('\0')) {
    const newline = record.indexOf('\n');
    const [, name = '', key] = /^submodule\.(.+)\.(path|url|update)$/s.exec(record.slice(0, newline)) ?? [];
    if (newline < 0 || key === undefined) continue;
    const settings = modules.get(name) ?? {};
    modules.set(name, { ...settings, [key]: record.slice(newline + 1) });
  }
  return modules;
}

/** The folder of a submodule. Git makes it; it must be that folder itself, reached through no link. */
async function emptyFolder(directory: string, path: string): Promise<string> {
  const folder = join(await realpath(directory), path);
  const real = await realpath(folder).catch(() => null);
  if (real !== folder || (await readdir(folder)).length > 0) {
    throw failure(`The submodule ${quote(path)} does not lie in an empty folder of its own.`);
  }
  return folder;
}

/**
 * The URL of a submodule, as git resolves it: `./` and `../` at its beginning count from the repository that it is in. Credentials of
 * that repository go along to the same origin, unless the submodule has its own.
 */
export function submoduleUrl(parent: Remote, url: string): string {
  const whole = /^\.\.?\//.test(url) ? resolveRelative(parent.url, url) : url;
  if (parent.protocol !== 'http' || parent.credentials === null || !URL.canParse(whole)) return whole;
  const own = new URL(whole);
  if (own.origin !== parent.origin || own.username !== '' || own.password !== '') return whole;
  own.username = encodeURIComponent(parent.credentials.username);
  own.password = encodeURIComponent(parent.credentials.password);
  return own.href;
}

/** `scheme://host/` or `user@host:`, and the path behind it. */
const PLACE = /^([a-z]+:\/\/[^/]*\/|[^:[]*(?:\[[^\]]*\])?:\/?)(.*)$/i;

function resolveRelative(parent: string, url: string): string {
  const [, place = '', path = ''] = PLACE.exec(parent) ?? [];
  const parts = path.split('/').filter((part) => part !== '');
  for (const part of url.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) {
      throw failure(`The submodule's URL ${quote(url)} leads out of its server.`);
    }
  }
  return place + parts.join('/');
}

function failure(message: string): BuildError {
  return new BuildError('gitcheckout', message);
}
