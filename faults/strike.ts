import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { workerListSchema, type Build } from '../src/contract/api.ts';
import { fill, relieve } from './disks.ts';
import type { EnginePost, Ground, ManagerPost, WorkerPost } from './ground.ts';
import { runningProcesses, signalAll } from './processes.ts';
import type { Program } from './program.ts';
import type { Fault } from './schedule.ts';

/** Something to be done to the farm, found but not yet done. */
export interface Blow {
  readonly victim: string;
  /** The ids of further workers whose builds it ends. */
  readonly meets: readonly string[];
  /** Inflicts it. */
  begin(): Promise<void>;
  /** Keeps it up for its time, and ends it: what was killed is started again, what was filled has room again. */
  end(): Promise<void>;
}

/** Finds whom a fault would strike that meets this build. null: this build has nobody whom it could strike. */
export async function aim(ground: Ground, fault: Fault, build: Build): Promise<Blow | null> {
  const { kind, forMs } = fault;
  const lasting = (
    victim: string,
    begin: () => unknown,
    end: () => unknown,
    meets: readonly string[] = [],
  ): Blow => ({
    victim,
    meets,
    begin: async () => {
      await begin();
    },
    end: async () => {
      await wait(forMs);
      await end();
    },
  });
  const killing = (program: Program): Blow =>
    lasting(
      program.id,
      () => program.kill(),
      () => program.revive(),
    );
  const freezing = (victim: string, pids: readonly number[]): Blow =>
    lasting(
      victim,
      () => signalAll(pids, 'SIGSTOP'),
      () => signalAll(pids, 'SIGCONT'),
    );
  const filling = (victim: string, path: string, meets: readonly string[] = []): Blow =>
    lasting(
      victim,
      () => fill(path),
      () => relieve(path),
      meets,
    );
  const at = (worker: WorkerPost | null, blow: (worker: WorkerPost) => Blow): Blow | null =>
    worker === null ? null : blow(worker);

  switch (kind) {
    case 'kill worker': {
      const worker = workerOf(ground, build);
      if (worker) return killing(worker.program);
      const hosted = await hostedProcesses(build);
      const kill = (): void => signalAll(hosted, 'SIGKILL');
      return hosted.length === 0 ? null : lasting('hosted worker', kill, () => undefined);
    }
    case 'freeze worker': {
      const worker = workerOf(ground, build);
      if (worker) return freezing(worker.program.id, [worker.program.pid]);
      const hosted = await hostedProcesses(build);
      return hosted.length === 0 ? null : freezing('hosted worker', hosted);
    }
    case 'cut network':
      return at(workerOf(ground, build), ({ program, host }) =>
        lasting(
          program.id,
          () => host.cut(),
          () => host.mend(),
        ),
      );
    case 'half-open connection':
      return at(workerOf(ground, build), ({ program, host }) =>
        lasting(
          program.id,
          () => host.deafen(),
          () => host.mend(),
        ),
      );
    case 'kill worker unheard':
      return at(workerOf(ground, build), ({ program, host }) =>
        lasting(
          program.id,
          async () => {
            await host.cut();
            await program.kill();
          },
          async () => {
            await host.mend();
            program.revive();
          },
        ),
      );
    case 'kill engine': {
      const post = engineOf(ground, build);
      if (!post) return null;
      // The engine is started again by the same call that kills it.
      const blow = { crashed: Promise.resolve() };
      return {
        victim: post.id,
        meets: post.workers,
        begin: () => {
          const dead = Promise.withResolvers<undefined>();
          blow.crashed = post.engine.crash(async () => {
            dead.resolve(undefined);
            await wait(forMs);
          });
          return Promise.race([dead.promise, blow.crashed]);
        },
        end: () => blow.crashed,
      };
    }
    case 'fill work directory':
      return at(workerOf(ground, build), ({ program, disk }) => filling(program.id, disk.path));
    case 'fill engine disk': {
      const post = engineOf(ground, build);
      return post && filling(post.id, post.disk.path, post.workers);
    }
    case 'kill manager': {
      const manager = await managerOf(ground, build);
      return manager && killing(manager.program);
    }
    case 'freeze manager': {
      const manager = await managerOf(ground, build);
      return manager && freezing(manager.program.id, [manager.program.pid]);
    }
    case 'kill database': {
      const blow = { until: 0 };
      return {
        victim: 'database',
        meets: [],
        begin: () => {
          blow.until = Date.now() + forMs;
          signalAll([ground.database.pid], 'SIGKILL');
          return Promise.resolve();
        },
        // It is started again at once: for as long as it is to be away, it is killed again.
        end: async () => {
          while (Date.now() < blow.until) {
            await wait(100);
            signalAll([ground.database.pid], 'SIGKILL');
          }
        },
      };
    }
    case 'kill database backend': {
      const backends = await databaseProcesses(ground, 'client backends');
      const chosen = backends[Math.floor(fault.choice * backends.length)];
      if (chosen === undefined) return null;
      const kill = (): void => signalAll([chosen], 'SIGKILL');
      return lasting('database backend', kill, () => undefined);
    }
    case 'freeze database':
      return freezing('database', await databaseProcesses(ground, 'all'));
    case 'fill manager disk':
      return filling('managers', ground.dataDisk.path);
    case 'fill database disk':
      return filling('database', ground.databaseDisk.path);
  }
}

/** The id of the worker that runs a build, without its slot; null when there is none yet. */
export function workerIdOf({ tries }: Build): string | null {
  return tries.at(-1)?.worker?.replace(/\/\d+$/, '') ?? null;
}

/** The worker that runs a build, unless it is a hosted one. */
function workerOf({ workers }: Ground, build: Build): WorkerPost | null {
  const id = workerIdOf(build);
  return workers.find(({ program }) => program.id === id) ?? null;
}

/** The engine on which a build runs, or will; any when that is not known. */
function engineOf({ engines }: Ground, build: Build): EnginePost | null {
  const id = workerIdOf(build);
  return engines.find(({ workers }) => workers.some((worker) => worker === id)) ?? engines[0] ?? null;
}

/** The manager at which a build's worker is, or any when that is not known. */
async function managerOf({ managers }: Ground, build: Build): Promise<ManagerPost | null> {
  for (const { url } of managers) {
    try {
      const answer = await fetch(`${url}/api/v1/workers`, { signal: AbortSignal.timeout(1000) });
      const { workers } = workerListSchema.parse(await answer.json());
      const name = workers.find(({ build_id }) => build_id === build.id)?.manager;
      const found = managers.find(({ program }) => program.id === name);
      if (found) return found;
    } catch {
      // The other one may know.
    }
  }
  return managers[0] ?? null;
}

/** The processes of the hosted worker of a build: its realm is in their environment. */
async function hostedProcesses(build: Build): Promise<readonly number[]> {
  const worker = workerIdOf(build);
  const all = await runningProcesses();
  return all
    .filter(({ environment }) => environment.has('EXECUTOR_WORKER'))
    .filter(({ environment }) => worker === null || environment.get('WORKER_ID') === worker)
    .map(({ pid }) => pid);
}

async function databaseProcesses(
  { database, databaseUrl }: Ground,
  which: 'all' | 'client backends',
): Promise<readonly number[]> {
  if (which === 'all') {
    const all = await runningProcesses();
    return [database.pid, ...all.filter(({ parent }) => parent === database.pid).map(({ pid }) => pid)];
  }
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by pid`,
    );
    return rows.map(({ pid }) => pid);
  } finally {
    await client.end();
  }
}
