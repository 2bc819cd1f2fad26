import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LabEngine } from './engine.ts';
import { freePort, run, startProcess, type LabProcess } from './process.ts';
import { startRegistry, type LabRegistry, type RegistryAuth } from './registry.ts';

/** The `service` of a registry whose token server is the manager. */
const TOKEN_SERVICE = 'lab-registry';
const BIN = resolve(import.meta.dirname, '../bin');

/** A manager, the registry whose token server it is, and workers: the programs that `make build` left, as users run them. */
export interface LabFarm extends AsyncDisposable {
  /** The manager's HTTP API. */
  readonly url: string;
  /** Where workers connect. */
  readonly wampUrl: string;
  /** `DATA_DIR` of the manager. */
  readonly dataDirectory: string;
  readonly registry: LabRegistry;
  readonly manager: LabProcess;
  /** Ends the manager in this way and starts it again, on the same data and ports. */
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
  /** The manager's data lies here, the registry's beside it. */
  readonly directory: string;
  /** Whether the registry takes the manager's tokens (the default), or whatever comes. */
  readonly registryAuth?: 'token' | 'open';
  /** Lets only who has a token use the API, and makes one for a user of this name. */
  readonly user?: string;
  /** More of the manager's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly onOutput?: (program: string, text: string) => void;
}

/** Starts a manager with its embedded PostgreSQL, and a registry that takes the manager's tokens. Ends both when it fails. */
export async function startFarm({
  directory,
  registryAuth = 'token',
  user,
  env,
  onOutput,
}: LabFarmOptions): Promise<LabFarm> {
  const [wampPort, httpPort, registryPort] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${httpPort}`;
  const wampUrl = `ws://127.0.0.1:${wampPort}`;
  const dataDirectory = join(directory, 'manager');
  await mkdir(dataDirectory, { recursive: true });
  const tokensFile = join(directory, 'api-tokens.json');
  const token =
    user === undefined
      ? ''
      : await run(join(BIN, 'quay-build-manager'), ['token', user, '--scope', 'admin', '--file', tokensFile]);
  const stack = new AsyncDisposableStack();
  try {
    const startManager = async (): Promise<LabProcess> => {
      const started = startProcess(join(BIN, 'quay-build-manager'), [], {
        env: {
          PATH: process.env['PATH'],
          LISTEN_WAMP: `127.0.0.1:${wampPort}`,
          LISTEN_HTTP: `127.0.0.1:${httpPort}`,
          DATA_DIR: dataDirectory,
          REGISTRY: `127.0.0.1:${registryPort}`,
          ...(registryAuth === 'token' ? { REGISTRY_TOKEN_SERVICE: TOKEN_SERVICE } : {}),
          LOG_FORMAT: 'json',
          ...(user === undefined ? {} : { API_TOKENS_FILE: tokensFile }),
          ...env,
        },
        onOutput: (text) => onOutput?.('manager', text),
      });
      await started.printed(/manager is ready/).catch(async (error: unknown) => {
        await started.stop();
        throw error;
      });
      return started;
    };
    let manager = await startManager();
    stack.defer(() => manager.stop());
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
      get manager() {
        return manager;
      },
      restartManager: async (signal) => {
        manager.kill(signal);
        await manager.exited;
        manager = await startManager();
      },
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
