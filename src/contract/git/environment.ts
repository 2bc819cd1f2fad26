import type { NetworkLimits } from '../network/http-client.ts';
import type { Remote } from './remote.ts';

/** How git gets to a remote. */
interface GitWay {
  /** The command for one over ssh, null for one over http(s). */
  readonly ssh: string | null;
  /** The URL of the proxy, null for none. */
  readonly proxy: string | null;
  /** The file of the certificate authorities that https servers are checked by, null for the machine's list. */
  readonly authorities: string | null;
  /** What the name of one over http(s) stands for; null when it is an address itself, or the proxy's to find. */
  readonly addresses: readonly string[] | null;
}

/**
 * The whole environment that git runs in: nothing of the worker's own but PATH, no configuration of the machine or of a user, no
 * hooks, no prompts, no protocol but the remote's. Credentials are here, and never in an argument: every user of a machine may read arguments.
 */
export function gitEnvironment(
  remote: Remote,
  home: string,
  path: string,
  limits: NetworkLimits,
  { ssh, proxy, authorities, addresses }: GitWay,
): Record<string, string> {
  const settings: [name: string, value: string][] = [
    ['core.hooksPath', '/dev/null'],
    ['core.fsmonitor', 'false'],
    // A checkout is of no use after a crash (git 2.36 on).
    ['core.fsync', 'none'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['advice.detachedHead', 'false'],
    ['init.defaultBranch', 'main'],
    ['protocol.version', '2'],
    ['fetch.recurseSubmodules', 'false'],
    // A server that sends less than one byte a second for so long is gone.
    ['http.lowSpeedLimit', '1'],
    ['http.lowSpeedTime', String(Math.max(1, Math.ceil(limits.stallMs / 1000)))],
    // Who redirects, and where to, is looked at before.
    ['http.followRedirects', 'false'],
    ['http.proxy', proxy ?? ''],
    // An empty value drops every helper named before.
    ['credential.helper', ''],
  ];
  if (addresses !== null) {
    // Since git 2.37: it connects where we looked, whatever a second answer would be.
    settings.push(['http.curloptResolve', `${remote.host}:${remote.port}:${addresses.join(',')}`]);
  }
  const secrets: Record<string, string> = {};
  if (remote.protocol === 'http' && remote.credentials !== null) {
    // Git matches scheme, host and port itself, so a redirect elsewhere is offered nothing.
    settings.push([`credential.${remote.origin}.helper`, CREDENTIAL_HELPER]);
    secrets['QUAY_GIT_USERNAME'] = remote.credentials.username;
    secrets['QUAY_GIT_PASSWORD'] = remote.credentials.password;
  }
  const configuration = settings.flatMap(([name, value], index): [string, string][] => [
    [`GIT_CONFIG_KEY_${index}`, name],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return {
    PATH: path,
    HOME: home,
    XDG_CONFIG_HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GIT_ALLOW_PROTOCOL: remote.protocol === 'ssh' ? 'ssh' : 'http:https',
    GIT_LITERAL_PATHSPECS: '1',
    ...(authorities === null ? {} : { GIT_SSL_CAINFO: authorities }),
    ...(ssh === null ? {} : { GIT_SSH_COMMAND: ssh, GIT_SSH_VARIANT: 'ssh' }),
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(configuration),
    ...secrets,
  };
}

/** Answers git's `get` from the environment (gitcredentials, "Custom helpers"); `printf` is the shell's own, no process. */
const CREDENTIAL_HELPER =
  '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$QUAY_GIT_USERNAME" "$QUAY_GIT_PASSWORD"; }; f';
