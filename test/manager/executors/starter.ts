import type { WorkerOrder } from '../../../src/manager/executors/executor.ts';
import type { ExecutorEntry } from '../../../src/manager/executors/executors-file.ts';
import { openExecutor, type ExecutorSurroundings } from '../../../src/manager/executors/open-executor.ts';

interface StarterTask {
  readonly entry: ExecutorEntry;
  readonly surroundings: ExecutorSurroundings;
  readonly order: WorkerOrder;
}

/** A manager in a process of its own: opens an executor, says that it begins, and starts a worker. It waits to be killed. */
process.once('message', (task: StarterTask) => {
  void (async () => {
    const executor = await openExecutor(task.entry, task.surroundings);
    process.send?.('begins');
    await executor.start(task.order);
  })();
});
