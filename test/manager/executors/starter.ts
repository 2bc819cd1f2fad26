import { openExecutor } from '../../../src/manager/executors/open-executor.ts';
import type { StarterTask } from './conformance.ts';

/** A manager in a process of its own: opens an executor, says that it begins, and starts a worker. It waits to be killed. */
process.once('message', (task: StarterTask) => {
  void (async () => {
    const executor = await openExecutor(task.entry, task.surroundings);
    process.send?.('begins');
    await executor.start(task.order);
  })();
});
