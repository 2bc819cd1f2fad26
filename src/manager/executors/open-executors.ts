import type { Executor } from './executor.ts';
import { readExecutorsFile } from './executors-file.ts';
import { openExecutor, type ExecutorSurroundings } from './open-executor.ts';

/**
 * Opens the executors that the operator described, if any, in the order in which they are asked.
 *
 * @throws ExecutorsError when the file is wrong, ExecutorError when the machine lacks what one of them needs.
 */
export async function openExecutors(
  file: string | null,
  surroundings: ExecutorSurroundings,
): Promise<readonly Executor[]> {
  if (file === null) return [];
  const entries = await readExecutorsFile(file);
  return Promise.all(entries.map((entry) => openExecutor(entry, surroundings)));
}
