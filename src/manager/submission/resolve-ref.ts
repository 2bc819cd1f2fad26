import { spawn } from 'node:child_process';
import { isCommit } from '../../contract/references.ts';
import { ApiProblem } from '../http/problems.ts';
import {
  GIT_WORDS_MAX,
  LOW_SPEED_BYTES,
  LOW_SPEED_SECONDS,
  LS_REMOTE_OUTPUT_MAX,
  LS_REMOTE_TIMEOUT_MS,
} from './limits.ts';
import type { SourceUrl } from './source-url.ts';

/**
 * Finds the commit that a branch or tag points to now. `null` stands for the default branch; a whole commit id is taken as it
 * is, without asking. Throws an ApiProblem: `git_ref_not_found`, `git_denied`, `git_unreachable`; `git_url_refused` for anything else
 * over ssh.
 */
export type ResolveRef = (url: SourceUrl, ref: string | null) => Promise<string>;

/** What git forbids in a ref's name (git-check-ref-format), of what could mean something else to a program. */
const NOT_A_REF = /^$|[\p{Cc} ~^:?*[\\]|\.\.|@\{|^[-/]|\/$|\/\/|\.lock$|^@$/u;
const LINE = /^([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)$/;
const PEELED = '^{}';
const DENIED =
  /Authentication failed|could not read Username|terminal prompts disabled|requested URL returned error: 40[134]|not found|access denied/i;

/** Resolves refs with `git ls-remote`, which needs no clone. */
export const resolveRef: ResolveRef = async (url, ref) => {
  const commitId = ref?.toLowerCase() ?? '';
  if (isCommit(commitId)) return commitId;
  if (url.ssh) {
    throw new ApiProblem('git_url_refused', {
      specifically:
        'It is one over ssh, where this manager cannot look up branches and tags: give a whole commit id as ref.',
    });
  }
  if (ref !== null && NOT_A_REF.test(ref)) throw notFound(ref);
  // In the order of `git clone --branch`: a branch before a tag.
  const names =
    ref === null || ref === 'HEAD'
      ? ['HEAD']
      : [...(ref.startsWith('refs/') ? [ref] : []), `refs/heads/${ref}`, `refs/tags/${ref}`];
  const refs = await listRefs(url, names);
  for (const name of names) {
    // An annotated tag is an object of its own; what it points to is listed as peeled.
    const commit = refs.get(name + PEELED) ?? refs.get(name);
    if (commit !== undefined) return commit;
  }
  throw notFound(ref);
};

function notFound(ref: string | null): ApiProblem {
  const specifically =
    ref === null ? 'It has no default branch: is it empty?' : `It has no ${JSON.stringify(ref)}.`;
  return new ApiProblem('git_ref_not_found', { specifically });
}

async function listRefs(url: SourceUrl, names: readonly string[]): Promise<Map<string, string>> {
  const patterns = names.flatMap((name) => [name, name + PEELED]);
  const output = await runGit(['ls-remote', '--quiet', '--', url.shown, ...patterns], url);
  const refs = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [, commit, name] = LINE.exec(line) ?? [];
    if (commit !== undefined && name !== undefined) refs.set(name, commit);
  }
  return refs;
}

/** Runs git as a process group of its own, so that its transport helper ends with it. */
async function runGit(args: readonly string[], url: SourceUrl): Promise<string> {
  const child = spawn('git', args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: gitEnvironment(url),
  });
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  return new Promise((resolve, reject) => {
    let output = '';
    let words = '';
    let tooSlow = false;
    const timer = setTimeout(() => {
      tooSlow = true;
      end();
    }, LS_REMOTE_TIMEOUT_MS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > LS_REMOTE_OUTPUT_MAX) end();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(0, GIT_WORDS_MAX * 4);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(output);
      else reject(failure(tooSlow ? 'It took too long.' : words));
    });
  });
}

function failure(words: string): ApiProblem {
  const said = words.replace(/\s+/g, ' ').trim().slice(0, GIT_WORDS_MAX);
  return new ApiProblem(DENIED.test(words) ? 'git_denied' : 'git_unreachable', {
    ...(said === '' ? {} : { specifically: `Git says: ${said}` }),
  });
}

/** No configuration, helper or prompt of this machine; credentials travel in the environment, where other users cannot read them. */
function gitEnvironment({ shown, credentials }: SourceUrl): NodeJS.ProcessEnv {
  const settings: [string, string][] = [
    ['credential.helper', ''],
    ['core.askPass', ''],
    ['http.emptyAuth', 'false'],
  ];
  if (credentials) {
    const basic = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    // For this server only: one that it redirects to is not shown them.
    settings.push([`http.${new URL(shown).origin}/.extraHeader`, `Authorization: Basic ${basic}`]);
  }
  return {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_ALLOW_PROTOCOL: 'http:https',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_HTTP_LOW_SPEED_LIMIT: String(LOW_SPEED_BYTES),
    GIT_HTTP_LOW_SPEED_TIME: String(LOW_SPEED_SECONDS),
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
}
