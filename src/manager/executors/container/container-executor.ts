import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { z } from 'zod';
import { reasonOf } from '../../../contract/reason.ts';
import { createExecutor } from '../driver.ts';
import {
  ExecutorError,
  type Executor,
  type ExecutorSettings,
  type StartedWorker,
  type WorkerOrder,
} from '../executor.ts';
import { CONTAINER_LOG_SIZE, ENGINE_ANSWER_MS, ENGINE_LOOK_MS } from '../limits.ts';

export interface ContainerExecutorOptions {
  readonly settings: ExecutorSettings;
  /** This manager's own, among all that use the engine. */
  readonly owner: string;
  /** The path of the engine's socket. */
  readonly socket: string;
  /** The worker's image, which the engine must have. */
  readonly image: string;
  /** The socket, as the engine's machine has it, that workers build with; null for none. */
  readonly mountedSocket: string | null;
  /** The network of the containers, `host` or the name of one; null for the engine's own choice. */
  readonly network: string | null;
  /** In bytes; null for no limit. */
  readonly memory: number | null;
  readonly cpus: number | null;
  readonly processes: number | null;
  /** What its workers are told beside realm, token and server. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long a worker that is stopped may take to leave, in milliseconds, which the engine rounds to seconds; then it is killed. */
  readonly leaveWithinMs: number;
}

/** By these an executor finds its own containers, and nobody else's. */
const LABELS = {
  owner: 'io.quay.build-manager.owner',
  executor: 'io.quay.build-manager.executor',
  worker: 'io.quay.build-manager.worker',
} as const;

const SOCKET_IN_CONTAINER = '/var/run/docker.sock';

/** Runs workers as containers of a Docker engine, through its socket. Loads the engine's client; asks the engine nothing yet. */
export async function openContainerExecutor(options: ContainerExecutorOptions): Promise<Executor> {
  const { settings, owner, socket, image, leaveWithinMs } = options;
  const docker = await connect(socket);
  const labels = { [LABELS.owner]: owner, [LABELS.executor]: settings.name };
  const ask = <T>(what: string, call: () => Promise<T>): Promise<T> =>
    call().catch((error: unknown) => {
      throw failure(settings, what, error);
    });

  /** The container of a worker, if it is ours. */
  const find = async (id: string): Promise<Found | null> => {
    const all = await docker.listContainers({
      all: true,
      filters: { label: toFilter({ ...labels, [LABELS.worker]: id }) },
    });
    return foundSchema.array().parse(all)[0] ?? null;
  };

  /** Starts a container that is made; a manager may have been killed, or be gone, between the two requests. false: it is there no more. */
  const startMade = async ({ Id, State }: Found): Promise<boolean> => {
    if (State !== 'created') return true;
    try {
      await unless(304, docker.getContainer(Id).start());
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  };

  /** Makes a container. null: the engine was asked for it before, and may still be at it. */
  const make = async (order: WorkerOrder): Promise<Docker.Container | null> => {
    try {
      return await docker.createContainer(describe(order, options));
    } catch (error) {
      if (statusOf(error) === 409) return null;
      if (statusOf(error) !== 404) throw error;
      throw new Error(`the engine has no image ${image}: pull it there first`, { cause: error });
    }
  };

  /**
   * Starts the container of an order, which is made where there is none. The name of one that the engine is making is taken before it is
   * listed; and one that it made for a manager that was killed meanwhile it may remove again, until which it is listed.
   */
  const startOrMake = async (order: WorkerOrder): Promise<void> => {
    for (const late = Date.now() + ENGINE_ANSWER_MS; Date.now() < late;) {
      const made = await make(order);
      if (made !== null) {
        await made.start();
        return;
      }
      const found = await find(order.id);
      if (found !== null && (await startMade(found))) return;
      await sleep(ENGINE_LOOK_MS);
    }
    throw new Error('a container that is not ours has its name');
  };

  const start = (order: WorkerOrder): Promise<void> => ask('start', () => startOrMake(order));

  return createExecutor(settings, {
    begin: start,
    again: start,
    end: (id) =>
      ask('stop', async () => {
        const found = await find(id);
        if (found === null) return;
        const container = docker.getContainer(found.Id);
        await unless(404, unless(304, container.stop({ t: Math.round(leaveWithinMs / 1000) })));
        await unless(404, container.remove({ force: true, v: true }));
      }),
    list: () =>
      ask('find', async () => {
        const all = await docker.listContainers({ all: true, filters: { label: toFilter(labels) } });
        return foundSchema.array().parse(all).map(view);
      }),
  });
}

const foundSchema = z.object({
  Id: z.string(),
  Labels: z.record(z.string(), z.string()),
  /** `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`. */
  State: z.string(),
  /** For people: `Exited (71) 3 seconds ago`. */
  Status: z.string(),
});
type Found = z.output<typeof foundSchema>;

function view({ Labels, State, Status }: Found): StartedWorker {
  const id = Labels[LABELS.worker] ?? '';
  return State === 'exited' || State === 'dead'
    ? { id, state: 'ended', reason: `its container has ended: ${Status}` }
    : { id, state: 'running', reason: null };
}

/** dockerode, loaded when there is such an executor: it takes a sixth of a second. */
async function connect(socketPath: string): Promise<Docker> {
  const { default: DockerClient } = await import('dockerode');
  // Each name is given, as undefined too: dockerode takes from DOCKER_HOST and DOCKER_CERT_PATH what is not.
  return new DockerClient({
    socketPath,
    timeout: ENGINE_ANSWER_MS,
    protocol: 'http',
    host: undefined,
    port: undefined,
    ca: undefined,
    cert: undefined,
    key: undefined,
  });
}

function toFilter(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`);
}

/** What the engine is asked to make. Realm and token are in the environment alone, which who may use the engine can read. */
function describe(order: WorkerOrder, options: ContainerExecutorOptions): Docker.ContainerCreateOptions {
  const { settings, owner, image, mountedSocket, network, memory, cpus, processes, environment } = options;
  const variables = {
    LOG_FORMAT: 'json',
    WORKER_ID: order.id,
    ...environment,
    SERVER: order.server,
    REALM: order.realm,
    TOKEN: order.token,
  };
  return {
    // The engine refuses a second container of a name: two requests at once cannot both win.
    name: `quay-builder-${nameOf(owner, settings.name)}-${order.id}`,
    Image: image,
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    Labels: {
      [LABELS.owner]: owner,
      [LABELS.executor]: settings.name,
      [LABELS.worker]: order.id,
    },
    // Stops the build that runs, and cleans up after it.
    StopSignal: 'SIGINT',
    HostConfig: {
      Binds: mountedSocket === null ? [] : [`${mountedSocket}:${SOCKET_IN_CONTAINER}`],
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': CONTAINER_LOG_SIZE, 'max-file': '1' } },
      ...(network === null ? {} : { NetworkMode: network }),
      ...(memory === null ? {} : { Memory: memory, MemorySwap: memory }),
      ...(cpus === null ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
      ...(processes === null ? {} : { PidsLimit: processes }),
    },
  };
}

/** Short, and the same for an executor in every life of its manager. */
function nameOf(owner: string, executor: string): string {
  return createHash('sha256').update(`${owner}/${executor}`).digest('hex').slice(0, 8);
}

const httpErrorSchema = z.object({
  statusCode: z.number(),
  json: z.object({ message: z.string() }).nullish().catch(null),
});

function statusOf(error: unknown): number | null {
  return httpErrorSchema.safeParse(error).data?.statusCode ?? null;
}

/** Does without what the engine answers so: the work is done already. */
async function unless(status: number, answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (statusOf(error) !== status) throw error;
  }
}

function failure({ name }: ExecutorSettings, what: string, error: unknown): ExecutorError {
  const words = httpErrorSchema.safeParse(error).data?.json?.message;
  const reason = words ?? reasonOf(error);
  return new ExecutorError('failed', `the executor ${name} could not ${what} a worker: ${reason}`, {
    cause: error,
  });
}
