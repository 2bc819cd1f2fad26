import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startBalancer, type LabBalancer, type ManagerPorts } from './balancer.ts';
import type { LabEngine } from './engine.ts';
import { freePort } from './ports.ts';
import { run, startProcess, type LabProcess } from './process.ts';
import { startRegistry, type LabRegistry, type RegistryAuth } from './registry.ts';

/** The `service` of a registry whose token server is the manager. */
export const TOKEN_SERVICE = 'lab-registry';
const BIN = resolve(import.meta.dirname, '../bin');

/** One of the managers of a farm. */
export interface LabManager {
  /** Its HTTP API. */
  readonly url: string;
  /** Where workers connect to it. */
  readonly wampUrl: string;
  /** Of its life now. */
  readonly process: LabProcess;
  /** Starts it, once its process has ended, on the same data and ports, with more of its environment from now on. */
  start(env?: NodeJS.ProcessEnv): Promise<void>;
  /** Ends it in this way and starts it again. */
  restart(signal: NodeJS.Signals, env?: NodeJS.ProcessEnv): Promise<void>;
}

/** Managers, the registry whose token server they are, and workers: the programs that `make build` left, as users run them. */
export interface LabFarm extends AsyncDisposable {
  /** The HTTP API: the manager's, or, of several, the balancer's. */
  readonly url: string;
  /** Where workers connect. */
  readonly wampUrl: string;
  /** `DATA_DIR` of the managers. */
  readonly dataDirectory: string;
  readonly registry: LabRegistry;
  readonly managers: readonly LabManager[];
  /** Before several managers; null before one. */
  readonly balancer: LabBalancer | null;
  /** The first, or only one. */
  readonly manager: LabProcess;
  /** Restarts the first, or only one. */
  restartManager(signal: NodeJS.Signals): Promise<void>;
  /** The token of `user`, who may do everything; empty where the API is open. */
  readonly token: string;
  /** The environment with which `bin/quay-build` reaches this farm. */
  readonly cliEnv: NodeJS.ProcessEnv;
  /** Starts an enterprise worker on an engine, and waits until the manager may give it builds. */
  startWorker(engine: LabEngine, env?: NodeJS.ProcessEnv): Promise<LabProcess>;
  stop(): Promise<void>;
}

export interface LabFarmOptions {
  /** The managers' data lies here, the registry's beside it. */
  readonly directory: string;
  /** How many managers there are, 1 when absent. Several share this PostgreSQL and the data folder, behind a balancer. */
  readonly several?: { readonly managers: number; readonly databaseUrl: string };
  /** Whether the registry takes the manager's tokens (the default), or whatever comes. */
  readonly registryAuth?: 'token' | 'open';
  /** Lets only who has a token use the API, and makes one for a user of this name. */
  readonly user?: string;
  /** More of each manager's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly onOutput?: (program: string, text: string) => void;
}

/** Starts a manager with its embedded PostgreSQL, or several, and a registry that takes their tokens. Ends all when it fails. */
export async function startFarm({
  directory,
  several,
  registryAuth = 'token',
  user,
  env,
  onOutput,
}: LabFarmOptions): Promise<LabFarm> {
  const [front, registryPort] = [await freePorts(), await freePort()];
  const url = `http://127.0.0.1:${front.http}`;
  const wampUrl = `ws://127.0.0.1:${front.wamp}`;
  const dataDirectory = join(directory, 'manager');
  await mkdir(dataDirectory, { recursive: true });
  const tokensFile = join(directory, 'api-tokens.json');
  const token =
    user === undefined
      ? ''
      : await run(join(BIN, 'quay-build-manager'), ['token', user, '--scope', 'admin', '--file', tokensFile]);
  const managerEnv = {
    PATH: process.env['PATH'],
    DATA_DIR: dataDirectory,
    REGISTRY: `127.0.0.1:${registryPort}`,
    ...(registryAuth === 'token' ? { REGISTRY_TOKEN_SERVICE: TOKEN_SERVICE } : {}),
    LOG_FORMAT: 'json',
    ...(user === undefined ? {} : { API_TOKENS_FILE: tokensFile }),
    ...(several && { DATABASE_URL: several.databaseUrl, PUBLIC_URL: url, PUBLIC_WAMP_URL: wampUrl }),
    ...env,
  };
  const stack = new AsyncDisposableStack();
  try {
    const ports: ManagerPorts[] = [];
    if (several) while (ports.length < several.managers) ports.push(await freePorts());
    else ports.push(front);
    const starts = await Promise.allSettled(
      ports.map(async (own, index) => {
        const name = several ? { MANAGER_ID: `manager-${index + 1}` } : {};
        const manager = await startManager(own, { ...managerEnv, ...name }, (text) =>
          onOutput?.('manager', text),
        );
        stack.defer(() => manager.process.stop());
        return manager;
      }),
    );
    const managers = starts.map((start) => {
      if (start.status === 'rejected') throw start.reason;
      return start.value;
    });
    const [first] = managers;
    if (!first) throw new Error('a farm needs a manager');
    const balancer = several ? stack.use(await startBalancer(front, ports)) : null;
    const registry = stack.use(
      await startRegistry(registryAuth === 'token' ? tokenAuth(url, dataDirectory) : { kind: 'open' }, {
        port: registryPort,
        storage: join(directory, 'registry'),
      }),
    );
    const stop = async (): Promise<void> => stack.disposeAsync();
    return {
      url,
      wampUrl,
      dataDirectory,
      registry,
      managers,
      balancer,
      get manager() {
        return first.process;
      },
      restartManager: (signal) => first.restart(signal),
      token: token.trim(),
      cliEnv: { PATH: process.env['PATH'], QUAY_BUILD_URL: url, QUAY_BUILD_TOKEN: token.trim() },
      startWorker: async (engine, workerEnv) => {
        const worker = stack.use(
          startProcess(join(BIN, 'quay-builder'), [], {
            env: {
              PATH: process.env['PATH'],
              SERVER: wampUrl,
              DOCKER_HOST: engine.dockerHost,
              WORK_DIR: join(directory, 'work'),
              LOG_FORMAT: 'json',
              ...workerEnv,
            },
            onOutput: (text) => onOutput?.('worker', text),
          }),
        );
        await worker.printed(/worker is ready/);
        return worker;
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function startManager(
  { wamp, http }: ManagerPorts,
  env: NodeJS.ProcessEnv,
  onOutput: (text: string) => void,
): Promise<LabManager> {
  let own = env;
  const launch = async (more: NodeJS.ProcessEnv = {}): Promise<LabProcess> => {
    own = { ...own, ...more };
    const started = startProcess(join(BIN, 'quay-build-manager'), [], {
      env: { LISTEN_WAMP: `127.0.0.1:${wamp}`, LISTEN_HTTP: `127.0.0.1:${http}`, ...own },
      onOutput,
    });
    await started.printed(/manager is ready/).catch(async (error: unknown) => {
      await started.stop();
      throw error;
    });
    return started;
  };
  let running = await launch();
  const start = async (more?: NodeJS.ProcessEnv): Promise<void> => {
    await running.exited;
    running = await launch(more);
  };
  return {
    url: `http://127.0.0.1:${http}`,
    wampUrl: `ws://127.0.0.1:${wamp}`,
    get process() {
      return running;
    },
    start,
    restart: (signal, more) => {
      running.kill(signal);
      return start(more);
    },
  };
}

async function freePorts(): Promise<ManagerPorts> {
  return { wamp: await freePort(), http: await freePort() };
}

/** What makes a registry ask the manager who may do what. */
export function tokenAuth(managerUrl: string, dataDirectory: string): RegistryAuth {
  return {
    kind: 'token',
    realm: `${managerUrl}/registry/token`,
    service: TOKEN_SERVICE,
    issuer: 'quay-build-manager',
    rootCertBundle: join(dataDirectory, 'registry-token.pem'),
  };
}
