import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { dockerOf, freeBridgeAddress, type LabEngine } from './engine.ts';
import { bridgeName, folderPrefix, removeWithProcesses, sweepOrphans } from './orphans.ts';
import { run, startProcess, type LabProcess } from './process.ts';

export interface LabPodmanOptions {
  /** `host:port` of a registry on the loopback that is asked first for images of Docker's hub. */
  readonly mirror?: string;
}

/** How often the socket is looked for, in milliseconds: the service prints nothing when it listens. */
const LOOK_EVERY_MS = 20;

/**
 * Starts Podman's service, which answers Docker's API, and shares nothing with another Podman on this machine: socket, storage,
 * state, configuration and network are its own. Needs root and Debian's `podman`.
 */
export async function startPodman(options: LabPodmanOptions = {}): Promise<LabEngine> {
  await sweepOrphans();
  const directory = await mkdtemp(`${folderPrefix()}podman-`);
  const socket = join(directory, 'podman.sock');
  const bridge = bridgeName(`p${randomBytes(2).toString('base64url').replace(/\W/g, 'x')}`);
  const bridgeAddress = await freeBridgeAddress();
  // Made here: the plugin would turn the machine's forwarding on for a gateway of its own.
  await run('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${bridgeAddress}/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);
  const env = await writeConfiguration(directory, { ...options, bridge, bridgeAddress });
  const service = startProcess(
    'podman',
    ['--tmpdir', join(directory, 'tmp'), 'system', 'service', '--time', '0', `unix://${socket}`],
    { env: { PATH: process.env['PATH'], ...env } },
  );
  const stop = async (): Promise<void> => {
    await service.stop();
    await run('ip', ['link', 'del', bridge]).catch(() => undefined);
    await removeWithProcesses(directory);
  };
  try {
    await listening(socket, service);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    socket,
    dockerHost: `unix://${socket}`,
    bridgeAddress,
    pid: service.pid,
    docker: dockerOf(socket, directory),
    output: () => service.output(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Writes the files that Podman would else take from the machine, and answers with the variables that name them. */
async function writeConfiguration(
  directory: string,
  { mirror, bridge, bridgeAddress }: LabPodmanOptions & { bridge: string; bridgeAddress: string },
): Promise<NodeJS.ProcessEnv> {
  const at = (name: string): string => join(directory, name);
  for (const name of ['networks', 'home', 'work']) await mkdir(at(name));
  const text = (value: string): string => JSON.stringify(value);
  await writeFile(
    at('containers.conf'),
    `[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
[network]
network_backend = "cni"
network_config_dir = ${text(at('networks'))}
`,
  );
  await writeFile(
    at('storage.conf'),
    `[storage]
driver = "overlay"
graphroot = ${text(at('storage'))}
runroot = ${text(at('run'))}
`,
  );
  // Registries of the lab speak http.
  await writeFile(
    at('registries.conf'),
    `[[registry]]
location = "127.0.0.1"
insecure = true
${mirror === undefined ? '' : `[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = ${text(mirror)}\ninsecure = true\n`}`,
  );
  // Without the plugins that would change the machine's packet filter.
  await writeFile(
    at('networks/87-podman.conflist'),
    JSON.stringify({
      cniVersion: '0.4.0',
      name: 'podman',
      plugins: [
        {
          type: 'bridge',
          bridge,
          isGateway: false,
          ipMasq: false,
          ipam: {
            type: 'host-local',
            dataDir: at('addresses'),
            ranges: [[{ subnet: `${bridgeAddress.replace(/\.1$/, '.0')}/24`, gateway: bridgeAddress }]],
          },
        },
      ],
    }),
  );
  return {
    HOME: at('home'),
    TMPDIR: at('work'),
    CONTAINERS_CONF: at('containers.conf'),
    CONTAINERS_STORAGE_CONF: at('storage.conf'),
    CONTAINERS_REGISTRIES_CONF: at('registries.conf'),
  };
}

/** Resolves when the socket takes connections; fails when the service ends first. */
async function listening(socket: string, service: LabProcess): Promise<void> {
  for (;;) {
    const connection = connect(socket);
    try {
      await once(connection, 'connect');
      return;
    } catch {
      const ended = await Promise.race([service.exited, setTimeout(LOOK_EVERY_MS)]);
      if (ended !== undefined) throw new Error(`podman ended before it listened:\n${service.output()}`);
    } finally {
      connection.destroy();
    }
  }
}
