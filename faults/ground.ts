import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { importBaseImage } from '../lab/base-image.ts';
import { startBalancer } from '../lab/balancer.ts';
import { startDatabaseServer, type LabDatabaseServer } from '../lab/database.ts';
import { startEngine, type LabDockerEngine } from '../lab/engine.ts';
import { TOKEN_SERVICE, tokenAuth } from '../lab/farm.ts';
import { openNetwork, type LabHost } from '../lab/network.ts';
import { folderPrefix } from '../lab/orphans.ts';
import { freePort } from '../lab/ports.ts';
import { startRegistry, type LabRegistry } from '../lab/registry.ts';
import { mountSmallDisk, type SmallDisk } from '../lab/small-disk.ts';
import { startTcpProxy } from '../lab/tcp-proxy.ts';
import { startProgram, type Program } from './program.ts';
import { startSlowPackages, type SlowPackages } from './slow-packages.ts';

/**
 * The farm that faults strike: managers behind a balancer that share a PostgreSQL and a data folder, a registry, engines, and on each
 * engine workers, every one with a network link and a disk of its own. Everything is the real program in its own process.
 *
 *     worker ─link─┐                       ┌─▶ manager-1 ─┐
 *     worker ─link─┼─▶ balancer ───────────┤              ├─▶ PostgreSQL (a disk), data (a disk)
 *     worker ─link─┘                       └─▶ manager-2 ─┘
 *        └─▶ engine (a disk) ─slow wire─▶ registries
 */
export interface Ground extends AsyncDisposable {
  readonly managers: readonly ManagerPost[];
  readonly workers: readonly WorkerPost[];
  readonly engines: readonly EnginePost[];
  readonly database: LabDatabaseServer;
  readonly databaseDisk: SmallDisk;
  readonly databaseUrl: string;
  readonly dataDisk: SmallDisk;
  readonly registry: LabRegistry;
  /** The same images as `registry` has, for whoever asks. */
  readonly openRegistry: LabRegistry;
  readonly packages: SlowPackages;
  /** The HTTP API, through the balancer. */
  readonly url: string;
  /** How many builds can run at a time. */
  readonly slots: number;
}

export interface ManagerPost {
  readonly program: Program;
  /** Its own HTTP API. */
  readonly url: string;
}

export interface WorkerPost {
  readonly program: Program;
  readonly host: LabHost;
  readonly disk: SmallDisk;
  readonly engine: EnginePost;
}

export interface EnginePost {
  readonly id: string;
  readonly engine: LabDockerEngine;
  readonly disk: SmallDisk;
  /** The ids of the workers that use it, hosted ones too. */
  readonly workers: string[];
}

export interface GroundOptions {
  readonly managers: number;
  readonly engines: number;
  readonly workersEach: number;
  /** Hears what the programs print. */
  readonly onOutput: (program: string, text: string) => void;
}

/** How soon a lost worker, a lost manager and a worker that does not come back are noticed, in seconds. */
const SILENCE_SECONDS = 5;
const LEASE_SECONDS = 5;
const GRACE_SECONDS = 10;
/** How long a connection to a registry takes, so that pulls and pushes are a while in which something can happen. */
const WIRE_DELAY_MS = 200;
const ENGINE_DISK_BYTES = 1024 ** 3;
const DATA_DISK_BYTES = 256 * 1024 ** 2;
const DATABASE_DISK_BYTES = 512 * 1024 ** 2;
const WORK_DISK_BYTES = 256 * 1024 ** 2;
const BIN = resolve(import.meta.dirname, '../bin');

/** Starts it all. Needs root. */
export async function startGround(options: GroundOptions): Promise<Ground> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(`${folderPrefix()}faults-`);
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const disk = async (bytes: number): Promise<SmallDisk> => stack.use(await mountSmallDisk(bytes));
  const network = stack.use(await openNetwork());
  const packages = stack.use(await startSlowPackages(network.address));

  const databaseDisk = await disk(DATABASE_DISK_BYTES);
  const database = stack.use(
    await startDatabaseServer({ programs: 'of the machine', directory: databaseDisk.path }),
  );
  const { url: databaseUrl } = await database.createDatabase();

  const bases = stack.use(await startRegistry());
  const basesWire = stack.use(await startTcpProxy(portOf(bases), { delayMs: WIRE_DELAY_MS }));
  const engines: EnginePost[] = [];
  for (let number = 1; number <= options.engines; number += 1) {
    const engineDisk = await disk(ENGINE_DISK_BYTES);
    const engine = stack.use(
      await startEngine({ mirror: `127.0.0.1:${basesWire.port}`, dataRoot: join(engineDisk.path, 'data') }),
    );
    engines.push({ id: `engine-${number}`, engine, disk: engineDisk, workers: [] });
  }
  await pushBase(engines, `${bases.host}/library/busybox:stable`);

  const dataDisk = await disk(DATA_DISK_BYTES);
  const registryPort = await freePort();
  const registryWire = stack.use(await startTcpProxy(registryPort, { delayMs: WIRE_DELAY_MS }));
  const ports = await Promise.all(
    Array.from({ length: options.managers }, async () => ({
      wamp: await freePort(),
      http: await freePort(),
    })),
  );
  const shared = { wamp: await freePort(), http: await freePort() };
  stack.use(await startBalancer(shared, ports, network.address));
  const [wamp, http] = [`${network.address}:${shared.wamp}`, `${network.address}:${shared.http}`];

  const managers: ManagerPost[] = [];
  for (const [index, each] of ports.entries()) {
    const id = `manager-${index + 1}`;
    const executors = join(directory, `${id}-executors.json`);
    const engine = engines[index % engines.length];
    const executor = `hosted-${index + 1}`;
    engine?.workers.push(`${executor}-0.${id}`);
    await writeFile(
      executors,
      JSON.stringify([
        {
          name: executor,
          type: 'process',
          capacity: 1,
          setup_seconds: 20,
          // For who asks for a worker of this manager's.
          labels: { manager: id },
          environment: { DOCKER_HOST: engine?.engine.dockerHost },
        },
      ]),
    );
    const env = {
      MANAGER_ID: id,
      LISTEN_WAMP: `127.0.0.1:${each.wamp}`,
      LISTEN_HTTP: `127.0.0.1:${each.http}`,
      PUBLIC_URL: `http://${http}`,
      PUBLIC_WAMP_URL: `ws://${wamp}`,
      DATA_DIR: dataDisk.path,
      DATABASE_URL: databaseUrl,
      EXECUTORS_FILE: executors,
      REGISTRY: `127.0.0.1:${registryWire.port}`,
      REGISTRY_TOKEN_SERVICE: TOKEN_SERVICE,
      LEASE_SECONDS: String(LEASE_SECONDS),
      HEARTBEAT_TIMEOUT_SECONDS: String(SILENCE_SECONDS),
      RESUME_GRACE_SECONDS: String(GRACE_SECONDS),
    };
    const command = [join(BIN, 'quay-build-manager')];
    const program = stack.use(
      await startProgram({ id, command, env, ready: /manager is ready/, onOutput: options.onOutput }),
    );
    managers.push({ program, url: `http://127.0.0.1:${each.http}` });
  }
  const storage = join(directory, 'registry');
  const auth = tokenAuth(`http://${http}`, dataDisk.path);
  const registry = stack.use(await startRegistry(auth, { port: registryPort, storage }));
  const openRegistry = stack.use(await startRegistry({ kind: 'open' }, { storage }));

  const workers: WorkerPost[] = [];
  for (let number = 1; number <= options.engines * options.workersEach; number += 1) {
    const id = `worker-${number}`;
    const host = await network.addHost();
    const workDisk = await disk(WORK_DISK_BYTES);
    const engine = engines[(number - 1) % engines.length];
    if (engine === undefined) throw new Error('there is no engine');
    const env = {
      WORKER_ID: id,
      SERVER: `ws://${wamp}`,
      DOCKER_HOST: engine.engine.dockerHost,
      WORK_DIR: join(workDisk.path, 'work'),
    };
    const command = [...host.prefix, join(BIN, 'quay-builder')];
    const program = stack.use(
      await startProgram({ id, command, env, ready: /worker is ready/, onOutput: options.onOutput }),
    );
    engine.workers.push(id);
    workers.push({ program, host, disk: workDisk, engine });
  }
  const started = stack.move();
  return {
    managers,
    workers,
    engines,
    database,
    databaseDisk,
    databaseUrl,
    dataDisk,
    registry,
    openRegistry,
    packages,
    url: `http://${http}`,
    slots: workers.length + managers.length,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

function portOf({ host }: LabRegistry): number {
  return Number(host.slice(host.lastIndexOf(':') + 1));
}

/** Puts a base into the registry that engines ask in the place of the hub. */
async function pushBase([first]: readonly EnginePost[], reference: string): Promise<void> {
  if (first === undefined) return;
  await importBaseImage(first.engine, reference);
  await first.engine.docker(['push', '--quiet', reference]);
  await first.engine.docker(['rmi', reference]);
}
