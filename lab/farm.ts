import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LabEngine } from './engine.ts';
import { freePort, startProcess, type LabProcess } from './process.ts';
import { startRegistry, type LabRegistry } from './registry.ts';

const BIN = resolve(import.meta.dirname, '../bin');

/** A manager, the registry whose token server it is, and workers: the programs that `make build` left, as users run them. */
export interface LabFarm extends AsyncDisposable {
  /** The manager's HTTP API. */
  readonly url: string;
  /** Where workers connect. */
  readonly wampUrl: string;
  readonly registry: LabRegistry;
  readonly manager: LabProcess;
  /** The environment with which `bin/quay-build` reaches this farm. */
  readonly cliEnv: NodeJS.ProcessEnv;
  /** Starts an enterprise worker on an engine, and waits until the manager may give it builds. */
  startWorker(engine: LabEngine, env?: NodeJS.ProcessEnv): Promise<LabProcess>;
  stop(): Promise<void>;
}

export interface LabFarmOptions {
  /** The manager's data lies here, the registry's beside it. */
  readonly directory: string;
  /** More of the manager's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly onOutput?: (program: string, text: string) => void;
}

/** Starts a manager with its embedded PostgreSQL, and a registry that takes the manager's tokens. Ends both when it fails. */
export async function startFarm({ directory, env, onOutput }: LabFarmOptions): Promise<LabFarm> {
  const [wampPort, httpPort, registryPort] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${httpPort}`;
  const wampUrl = `ws://127.0.0.1:${wampPort}`;
  const dataDirectory = join(directory, 'manager');
  await mkdir(dataDirectory, { recursive: true });
  const stack = new AsyncDisposableStack();
  try {
    const manager = stack.use(
      startProcess(join(BIN, 'quay-build-manager'), [], {
        env: {
          PATH: process.env['PATH'],
          LISTEN_WAMP: `127.0.0.1:${wampPort}`,
          LISTEN_HTTP: `127.0.0.1:${httpPort}`,
          DATA_DIR: dataDirectory,
          REGISTRY: `127.0.0.1:${registryPort}`,
          REGISTRY_TOKEN_SERVICE: 'lab-registry',
          LOG_FORMAT: 'json',
          ...env,
        },
        onOutput: (text) => onOutput?.('manager', text),
      }),
    );
    await manager.printed(/manager is ready/);
    const registry = stack.use(
      await startRegistry(
        {
          kind: 'token',
          realm: `${url}/registry/token`,
          service: 'lab-registry',
          issuer: 'quay-build-manager',
          rootCertBundle: join(dataDirectory, 'registry-token.pem'),
        },
        { port: registryPort, storage: join(directory, 'registry') },
      ),
    );
    const stop = async (): Promise<void> => stack.disposeAsync();
    return {
      url,
      wampUrl,
      registry,
      manager,
      cliEnv: { PATH: process.env['PATH'], QUAY_BUILD_URL: url },
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
