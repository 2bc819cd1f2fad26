import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Makes an empty repository in a folder, whose `origin` is at this URL, as `git init` and `git remote add` do (gitrepository-layout(5)).
 * Starting these takes tens of milliseconds, and this less than one. Throws the system's error when the disk refuses.
 */
export async function makeRepository(
  directory: string,
  url: string,
  format: 'sha1' | 'sha256',
): Promise<void> {
  const folder = join(directory, '.git');
  await mkdir(join(folder, 'objects'), { recursive: true });
  await mkdir(join(folder, 'refs'));
  await writeFile(join(folder, 'config'), configuration(url, format));
  // Last: with it, the folder is a repository.
  await writeFile(join(folder, 'HEAD'), 'ref: refs/heads/main\n');
  // As git, which adds the rest, has them: an image may take all of it.
  for (const name of ['.', 'objects', 'refs']) await chmod(join(folder, name), 0o755);
  for (const name of ['config', 'HEAD']) await chmod(join(folder, name), 0o644);
}

function configuration(url: string, format: 'sha1' | 'sha256'): string {
  return [
    '[core]',
    `\trepositoryformatversion = ${format === 'sha1' ? 0 : 1}`,
    '\tfilemode = true',
    '\tbare = false',
    '\tlogallrefupdates = true',
    ...(format === 'sha1' ? [] : ['[extensions]', `\tobjectformat = ${format}`]),
    '[remote "origin"]',
    `\turl = ${quoted(url)}`,
    '\tfetch = +refs/heads/*:refs/remotes/origin/*',
    '',
  ].join('\n');
}

/** A value of git's configuration, whatever is in it (git-config(1), "Syntax"). */
function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
