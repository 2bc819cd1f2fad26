import { readSshUrl } from '../../contract/git/ssh-url.ts';
import { CliError, exitCodes } from '../failure.ts';
import { readText } from './secrets.ts';
import type { Source } from './source.ts';

/** The options of `submit` that let git in. */
export interface GitAccessOptions {
  readonly gitKey?: string;
  readonly gitUser?: string;
  readonly gitToken?: string;
}

/** What servers that know tokens take for a user, whoever's the token is. */
const ANY_USER = 'git';

/**
 * Gives a git source its key (ssh) or its user and token (http, https), read from a file or from the environment, so that neither stands on
 * a command line. Throws a CliError, or an error of the file system, that holds nothing of them.
 */
export async function withGitAccess(
  source: Source,
  { gitKey, gitUser, gitToken }: GitAccessOptions,
  environment: NodeJS.ProcessEnv,
): Promise<Source> {
  if (source.type !== 'git') {
    if ((gitKey ?? gitToken ?? gitUser) === undefined) return source;
    throw usage('--git-key, --git-token and --git-user are for a git URL.', 'Leave them out, or give one.');
  }
  if (readSshUrl(source.url) !== null) {
    if (gitToken !== undefined || gitUser !== undefined) {
      throw usage('Git over ssh takes no token.', 'Give a private key: --git-key FILE.');
    }
    if (gitKey === undefined) {
      throw usage('Git over ssh needs a private key.', 'Give one without a passphrase: --git-key FILE.');
    }
    return { ...source, privateKey: await readValue('--git-key', gitKey, environment) };
  }
  if (gitKey !== undefined) {
    throw usage('--git-key is for git over ssh.', 'Give --git-token, or the URL as ssh://git@HOST/PATH.');
  }
  if (gitToken === undefined) {
    if (gitUser === undefined) return source;
    throw usage('--git-user is nothing without --git-token.', 'Give both.');
  }
  const token = (await readValue('--git-token', gitToken, environment)).trim();
  return { ...source, url: withCredentials(source.url, gitUser ?? ANY_USER, token) };
}

/** `env=VARIABLE`, or a file, with or without `src=` before it. */
async function readValue(option: string, text: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const [, variable] = /^env=(\w+)$/.exec(text) ?? [];
  const value =
    variable === undefined ? await readText(text.replace(/^src=/, '')) : (environment[variable] ?? '');
  if (value.trim() !== '') return value;
  throw usage(
    `${option} ${text}: there is nothing in it.`,
    `Write it as ${option} FILE, or ${option} env=VARIABLE.`,
  );
}

function withCredentials(url: string, user: string, token: string): string {
  const whole = URL.parse(url);
  if (whole === null || !/^https?:$/.test(whole.protocol)) {
    throw usage('--git-token is for git over https.', 'Give the URL as https://HOST/PATH.');
  }
  if (whole.username !== '' || whole.password !== '') {
    throw usage('The git URL has a user already.', 'Leave it out of the URL: --git-user NAME.');
  }
  whole.username = encodeURIComponent(user);
  whole.password = encodeURIComponent(token);
  return whole.href;
}

function usage(message: string, help: string): CliError {
  return new CliError(exitCodes.usage, message, help);
}
