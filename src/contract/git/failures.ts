import { createMasker } from '../masking.ts';
import { passwordsOf } from '../network/proxies.ts';
import { formatDuration } from '../words.ts';
import type { GitAccess } from './access.ts';
import type { GitResult } from './process.ts';
import type { Remote } from './remote.ts';
import { explainSsh } from './ssh.ts';

/** What git says of why it failed, made fit for people. */

const REDIRECTED = /returned error: 30[12378]/;
const FAILURE = /^(?:fatal|error|remote error): /i;
/** What git says of any failure of ssh, after what tells more. */
const BOILERPLATE =
  /^(?:fatal: Could not read from remote repository\.|Please make sure you have the correct access rights|and the repository exists\.)/i;

/** Whether the server redirects elsewhere, which git does not follow by itself. */
export function isRedirect(remote: Remote, { ok, output }: GitResult): boolean {
  return !ok && remote.protocol === 'http' && REDIRECTED.test(output);
}

/** Whether a line of git's tells of a failure: why it failed is the error's to say. */
export function isOfFailure(line: string): boolean {
  return FAILURE.test(line) || BOILERPLATE.test(line);
}

/** Hides the secrets of a remote's URL, and of the proxies to it. */
export function maskRemote(text: string, remote: Remote, { network }: GitAccess): string {
  return createMasker([...remote.secrets, ...passwordsOf(network.proxies)]).mask(text);
}

/** Why git failed, without secrets. */
export function explainFailure(result: GitResult, remote: Remote, access: GitAccess): string {
  if (result.stalled) return `git was silent for ${formatDuration(access.limits.gitSilenceMs)}`;
  const explained = remote.protocol === 'ssh' ? explainSsh(result.output, remote, access.knownHosts) : null;
  return maskRemote(explained ?? lastWords(result.output), remote, access);
}

/** The line that says why git failed, without its label. */
function lastWords(output: string): string {
  const lines = output.split(/[\r\n]+/).filter((line) => line.trim() !== '' && !BOILERPLATE.test(line));
  const telling = lines.findLast((line) => FAILURE.test(line)) ?? lines.at(-1);
  return telling?.replace(/^(?:fatal|error): /, '').trim() ?? 'git ended without a word';
}
