import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { run, startProcess } from './process.ts';
import { createRepositories, type LabRepositories } from './repositories.ts';

export interface LabSshServer extends AsyncDisposable, LabRepositories {
  /** The key that opens the repositories, in OpenSSH's form. */
  readonly privateKey: string;
  readonly port: number;
  /** The server's own key, as a line of a known_hosts file. */
  readonly knownHost: string;
  /** The ssh URL of `NAME.git`. */
  url(name: string): string;
  /** The user that clients log in as, and the folder of the repositories. */
  readonly user: string;
  readonly root: string;
  /** From now on `hang` lets clients in and never answers them. */
  fault(fault: 'none' | 'hang'): Promise<void>;
  /** Resolves when a client was let in that will get no answer, also when one already was. */
  hanging(): Promise<void>;
  stop(): Promise<void>;
}

/** Where sshd, as root, wants an empty folder; Debian's service makes it. */
const PRIVILEGE_SEPARATION = '/run/sshd';

/** Makes a key pair in a folder, and answers with the private key. */
export async function makeSshKey(path: string, ...options: string[]): Promise<string> {
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', path, ...options]);
  return readFile(path, 'utf8');
}

/**
 * Serves git over ssh by Debian's sshd, on the loopback or another `address` of this machine, with keys, host key and configuration of
 * its own.
 */
export async function startSshServer({
  address = '127.0.0.1',
  ...options
}: { port?: number; address?: string } = {}): Promise<LabSshServer> {
  const root = await mkdtemp(join(tmpdir(), 'qlab-ssh-'));
  const user = userInfo();
  if (user.uid === 0) await mkdir(PRIVILEGE_SEPARATION, { recursive: true, mode: 0o755 });
  const port = options.port ?? (await freePort());
  const privateKey = await makeSshKey(join(root, 'client'));
  await makeSshKey(join(root, 'host'));
  const hostKey = await readFile(join(root, 'host.pub'), 'utf8');
  const command = join(root, 'serve');
  const fault = join(root, 'fault');
  // A client that goes away closes what `cat` reads, which ends it.
  await writeFile(
    command,
    `#!/bin/sh\nif [ -e '${fault}' ]; then echo >&2 'the lab hangs'; exec cat >/dev/null; fi\nexec git-shell -c "$SSH_ORIGINAL_COMMAND"\n`,
    { mode: 0o755 },
  );
  const config = join(root, 'sshd_config');
  const settings = {
    ListenAddress: `${address}:${port}`,
    HostKey: join(root, 'host'),
    PidFile: 'none',
    AuthorizedKeysFile: join(root, 'client.pub'),
    StrictModes: 'no',
    UsePAM: 'no',
    PermitRootLogin: 'prohibit-password',
    PasswordAuthentication: 'no',
    KbdInteractiveAuthentication: 'no',
    AcceptEnv: 'GIT_PROTOCOL',
    ForceCommand: command,
    LogLevel: 'VERBOSE',
  };
  await writeFile(
    config,
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
  );
  // sshd starts itself anew for each client, and needs its own whole path for that.
  const server = startProcess('/usr/sbin/sshd', ['-D', '-e', '-f', config]);
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  };
  try {
    await server.printed(/Server listening on /);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...createRepositories(root),
    privateKey,
    port,
    knownHost: `[${address}]:${port} ${hostKey}`,
    url: (name) => `ssh://${user.username}@${address}:${port}${root}/${name}.git`,
    user: user.username,
    root,
    fault: (wanted) => (wanted === 'hang' ? writeFile(fault, '') : rm(fault, { force: true })),
    hanging: async () => {
      await server.printed(/Starting session: /);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
