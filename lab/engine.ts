import { randomBytes, randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { bridgeName, folderPrefix, removeWithProcesses, sweepOrphans, unmountBelow } from './orphans.ts';
import { type LabProcess, run, startProcess } from './process.ts';
import { reserve } from './reservation.ts';

/** Debian's client by its path: another one may come first on PATH. */
const DOCKER = '/usr/bin/docker';

export interface LabEngine extends AsyncDisposable {
  /** Path of the engine's socket. */
  readonly socket: string;
  /** For `DOCKER_HOST`. */
  readonly dockerHost: string;
  /** The address under which its containers reach this machine. */
  readonly bridgeAddress: string;
  readonly pid: number;
  /** Runs Debian's `docker` against this engine, with a configuration folder of its own. */
  docker(
    args: readonly string[],
    options?: { input?: Uint8Array | string; env?: NodeJS.ProcessEnv },
  ): Promise<string>;
  output(): string;
  stop(): Promise<void>;
}

export interface LabDockerEngine extends LabEngine {
  /** Kills the engine without a word, and starts it again on all that it left; in between, does this. */
  crash(meanwhile?: () => Promise<void>): Promise<void>;
}

export interface LabEngineOptions {
  /** Keeps the engine's data here, between runs; else it lies in a temporary folder that goes with the engine. */
  readonly dataRoot?: string;
  /** `host:port` of a registry on the loopback that is asked first for images without a host in their name. */
  readonly mirror?: string;
  /** More of the engine's environment, as for the limits of BuildKit's output. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts a Docker engine that shares nothing with another on this machine: socket, data, exec root and bridge are its own,
 * and it leaves the machine's packet filter and forwarding alone. Needs root and Debian's `docker.io`.
 */
export async function startEngine(options: LabEngineOptions = {}): Promise<LabDockerEngine> {
  await sweepOrphans();
  if (options.dataRoot !== undefined) await unmountBelow(options.dataRoot);
  const directory = await mkdtemp(folderPrefix());
  const socket = join(directory, 'docker.sock');
  const config = join(directory, 'daemon.json');
  await writeFile(
    config,
    JSON.stringify(options.mirror ? { 'registry-mirrors': [`http://${options.mirror}`] } : {}),
  );
  const bridge = bridgeName(randomBytes(2).toString('base64url').replace(/\W/g, 'x'));
  const bridgeAddress = await freeBridgeAddress();
  await run('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${bridgeAddress}/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);

  const startDaemon = async (): Promise<LabProcess> => {
    const started = startProcess(
      'dockerd',
      [
        ...['--host', `unix://${socket}`, '--pidfile', join(directory, 'pid')],
        ...['--data-root', options.dataRoot ?? join(directory, 'data')],
        ...['--exec-root', join(directory, 'exec')],
        ...['--bridge', bridge, '--iptables=false', '--ip-masq=false', '--ip-forward=false'],
        ...['--config-file', config, '--shutdown-timeout', '2'],
      ],
      {
        env: {
          ...process.env,
          // BuildKit clips a step's output otherwise.
          BUILDKIT_STEP_LOG_MAX_SIZE: '1073741824',
          BUILDKIT_STEP_LOG_MAX_SPEED: '1073741824',
          ...options.env,
        },
      },
    );
    try {
      await started.printed(/API listen on/);
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  };
  const cleanUp = async (): Promise<void> => {
    await run('ip', ['link', 'del', bridge]).catch(() => undefined);
    await removeWithProcesses(directory);
    if (options.dataRoot !== undefined) await unmountBelow(options.dataRoot);
  };
  let daemon: LabProcess;
  try {
    daemon = await startDaemon();
  } catch (error) {
    await cleanUp();
    throw error;
  }
  const stop = async (): Promise<void> => {
    await daemon.stop();
    await cleanUp();
  };
  return {
    socket,
    dockerHost: `unix://${socket}`,
    bridgeAddress,
    get pid() {
      return daemon.pid;
    },
    docker: dockerOf(socket, directory),
    output: () => daemon.output(),
    crash: async (meanwhile = () => Promise.resolve()) => {
      daemon.kill('SIGKILL');
      await daemon.exited;
      // Its containerd dies with it. Where nobody reaps it, its number would pass for one that runs.
      await rm(join(directory, 'exec/containerd/containerd.pid'), { force: true });
      await meanwhile();
      daemon = await startDaemon();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Debian's `docker` against the engine at this socket, with its configuration in a folder. */
export function dockerOf(socket: string, directory: string): LabEngine['docker'] {
  return (args, { input, env } = {}) =>
    run(DOCKER, ['--host', `unix://${socket}`, '--config', join(directory, 'client'), ...args], {
      ...(input === undefined ? {} : { input }),
      env: { PATH: process.env['PATH'], ...env },
    });
}

/** A /24 of 10.213.0.0/16 that no interface has or is about to have, so that engines side by side do not answer for each other. */
export async function freeBridgeAddress(): Promise<string> {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) =>
      (addresses ?? []).map(({ address }) => address),
    ),
  );
  for (;;) {
    const address = `10.213.${randomInt(256)}.1`;
    if (!taken.has(address) && (await reserve(`bridge-${address}`))) return address;
  }
}
