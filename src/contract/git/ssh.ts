import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../build-errors.ts';
import { SSH_PORT } from './ssh-url.ts';
import type { NetworkLimits } from '../network/http-client.ts';
import type { SshRemote } from './remote.ts';
import type { GitResult } from './process.ts';

/** Which servers a worker takes for what they say they are. */
export interface KnownHosts {
  /** A file in the form of ssh's known_hosts. */
  readonly file: string;
  /** Whether only hosts in the file count; else one that is met for the first time is trusted, and kept there. */
  readonly pinned: boolean;
}

/** No host at all: what counts where nothing else was configured. */
export const noKnownHosts: KnownHosts = { file: '/dev/null', pinned: true };

/** Runs `ssh-keygen` as git is run. */
export type RunKeygen = (...args: string[]) => Promise<GitResult>;

/**
 * Writes a build's key where ssh takes it: mode 0600, lines that end in LF, the last one too. Throws a BuildError `gitfailure` for
 * what ssh cannot use.
 */
export async function writeKey(key: string, home: string, keygen: RunKeygen): Promise<string> {
  if (key.trim() === '') {
    throw new BuildError('gitfailure', 'Git over ssh needs a key: give private_key, or an https URL.');
  }
  const file = join(home, 'key');
  await writeFile(file, `${key.replace(/\r\n?/g, '\n').trim()}\n`, { mode: 0o600, flag: 'wx' });
  // Asked for its public half, with the empty passphrase: ssh itself would only say that nobody let it in.
  const { ok, output } = await keygen('-y', '-P', '', '-f', file);
  if (ok) return file;
  throw new BuildError(
    'gitfailure',
    /passphrase/i.test(output)
      ? 'The private key is protected by a passphrase. Give one without: nobody is there to type it.'
      : 'The private key cannot be read. Give all lines of it, in the form of OpenSSH or PEM.',
  );
}

/**
 * What git runs for ssh. Nothing but this key and these hosts: no agent, no configuration of the machine or of a user, no password, no
 * forwarding, no question. It connects to `address`, and holds the server to the name that the remote has.
 */
export function sshCommand(
  remote: SshRemote,
  address: string,
  keyFile: string,
  { knownHosts, limits }: { readonly knownHosts: KnownHosts; readonly limits: NetworkLimits },
): string {
  const alive = Math.max(1, Math.ceil(limits.stallMs / 4000));
  const options = {
    IdentityFile: fileName(keyFile),
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    PreferredAuthentications: 'publickey',
    BatchMode: 'yes',
    Hostname: address,
    HostKeyAlias: remote.port === SSH_PORT ? remote.host : `[${remote.host}]:${remote.port}`,
    UserKnownHostsFile: fileName(knownHosts.file),
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: knownHosts.pinned ? 'yes' : 'accept-new',
    UpdateHostKeys: 'no',
    CheckHostIP: 'no',
    ClearAllForwardings: 'yes',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    PermitLocalCommand: 'no',
    ControlPath: 'none',
    ConnectTimeout: String(Math.max(1, Math.ceil(limits.connectMs / 1000))),
    ServerAliveInterval: String(alive),
    ServerAliveCountMax: '3',
  };
  const words = ['ssh', '-F', '/dev/null', '-x', '-a', '-T'];
  for (const [name, value] of Object.entries(options)) words.push('-o', `${name}=${value}`);
  return words.map(shellQuote).join(' ');
}

/** ssh reads quotes and `%` in the names of files. */
function fileName(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Whether ssh did not get as far as showing the key: the server is not one that is known, or not who it was. */
export function isUnknownHost(output: string): boolean {
  return /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/i.test(output);
}

/** Why ssh failed, for people; null when it is for git to say. */
export function explainSsh(output: string, { host }: SshRemote, { pinned }: KnownHosts): string | null {
  if (output.includes('REMOTE HOST IDENTIFICATION HAS CHANGED')) {
    return `the host key of ${host} is not the one that is known here: it was renewed, or someone else answers. Ask the operator to check it`;
  }
  if (isUnknownHost(output)) {
    return pinned
      ? `the host key of ${host} is not among those that are known here. Ask the operator to add it (GIT_KNOWN_HOSTS_FILE)`
      : `the host key of ${host} could not be checked`;
  }
  if (output.includes('Permission denied (')) {
    return `${host} does not accept the private key. Add its public half to the repository, for reading`;
  }
  return null;
}
