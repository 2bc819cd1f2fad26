import { stat } from 'node:fs/promises';
import { CliError, exitCodes } from '../failure.ts';

/** What SOURCE on the command line stands for. */
export type Source =
  | { readonly type: 'folder'; readonly path: string }
  | { readonly type: 'file'; readonly path: string; readonly size: number }
  | { readonly type: 'url'; readonly url: string }
  | {
      readonly type: 'git';
      readonly url: string;
      readonly ref: string | null;
      /** The folder after a colon, as in `URL#main:docker`; '' when there is none. */
      readonly folder: string;
      /** For git over ssh. */
      readonly privateKey?: string;
    };

const GIT_PREFIX = 'git+';
const SCP_LIKE = /^[\w.-]+@[\w.-]+:/;
const HELP =
  'SOURCE is a folder, an archive or a Dockerfile on this machine, a git URL such as https://git.example/team/app.git#main, or the URL of an archive.';

/**
 * Tells what kind of source this is. A URL is git's when it begins with `git+`, ends in `.git` or has a `#ref`; else it is an archive's.
 *
 * @throws CliError when it is nothing that is there.
 */
export async function readSource(text: string): Promise<Source> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || SCP_LIKE.test(text)) return readUrl(text);
  try {
    const found = await stat(text);
    if (found.isDirectory()) return { type: 'folder', path: text };
    if (found.isFile()) return { type: 'file', path: text, size: found.size };
  } catch (error) {
    throw new CliError(exitCodes.usage, `There is no file or folder ${text}.`, HELP, { cause: error });
  }
  throw new CliError(exitCodes.usage, `${text} is neither a file nor a folder.`, HELP);
}

function readUrl(text: string): Source {
  const [address, fragment] = splitAt(text, '#');
  const isGit =
    text.startsWith(GIT_PREFIX) ||
    !/^https?:\/\//i.test(text) ||
    /\.git\/?$/.test(address) ||
    text.includes('#');
  if (!isGit) return { type: 'url', url: text };
  const [ref, folder] = splitAt(fragment, ':');
  return {
    type: 'git',
    url: address.startsWith(GIT_PREFIX) ? address.slice(GIT_PREFIX.length) : address,
    ref: ref === '' ? null : ref,
    folder,
  };
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
