import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { folderPrefix } from './orphans.ts';
import { startProcess, type LabProcess } from './process.ts';

/** What operators are shown is what is started here, before managers on ports of the loopback. */
const EXAMPLE = resolve(import.meta.dirname, '../examples/several-managers/haproxy.cfg');
const LOOK_MS = 20;

/** Two ports: where workers connect, and the HTTP API. */
export interface ManagerPorts {
  readonly wamp: number;
  readonly http: number;
}

/** HAProxy before several managers. */
export interface LabBalancer extends AsyncDisposable {
  readonly process: LabProcess;
  stop(): Promise<void>;
}

/**
 * Starts Debian's HAProxy before managers, which need not run yet: it finds out who does. As many as the example has at most. It
 * listens on the loopback, or on another address of this machine.
 */
export async function startBalancer(
  ports: ManagerPorts,
  managers: readonly ManagerPorts[],
  address = '127.0.0.1',
): Promise<LabBalancer> {
  const directory = await mkdtemp(`${folderPrefix()}balancer-`);
  const config = join(directory, 'haproxy.cfg');
  await writeFile(config, configOf(await readFile(EXAMPLE, 'utf8'), address, ports, managers));
  const started = startProcess('haproxy', ['-db', '-f', config]);
  const stop = async (): Promise<void> => {
    // HAProxy takes SIGTERM for the end of everything, at once.
    await started.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    for (const port of [ports.wamp, ports.http]) await listens(address, port, started);
  } catch (error) {
    await stop();
    throw error;
  }
  return { process: started, stop, [Symbol.asyncDispose]: stop };
}

function configOf(
  example: string,
  address: string,
  ports: ManagerPorts,
  managers: readonly ManagerPorts[],
): string {
  return (
    example
      // More than this machine lets a process open.
      .replace('maxconn 20000', 'maxconn 1000')
      .replace('bind :8787', `bind ${address}:${ports.wamp}`)
      .replace('bind :8686', `bind ${address}:${ports.http}`)
      .split('\n')
      .flatMap((line) => {
        const number = /^ +server manager-(\d+) /.exec(line)?.[1];
        if (number === undefined) return [line];
        const manager = managers[Number(number) - 1];
        if (!manager) return [];
        return [
          line
            .replace(/manager-\d+\.example:8787/, `127.0.0.1:${manager.wamp}`)
            .replace(/manager-\d+\.example:8686/, `127.0.0.1:${manager.http}`)
            .replace('check port 8686', `check port ${manager.http}`),
        ];
      })
      .join('\n')
  );
}

/** HAProxy says nothing when it is ready. */
async function listens(address: string, port: number, balancer: LabProcess): Promise<void> {
  const ended = balancer.exited.then(() => {
    throw new Error(`haproxy ended before it was ready:\n${balancer.output()}`);
  });
  ended.catch(() => undefined);
  for (;;) {
    const socket = connect(port, address);
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await Promise.race([wait(LOOK_MS), ended]);
  }
}
