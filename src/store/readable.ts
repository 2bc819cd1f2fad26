import type { Database } from './database.ts';
import type { ReadableStore } from './ports/readable.ts';
import { statement } from './statements.ts';

const getReadable = statement<[namespace: string], { pattern: string }>('get-readable');
const setReadable =
  statement<[namespace: string, patterns: readonly string[], by: string, address: string | null]>(
    'set-readable',
  );

/** The port's implementation. */
export function createReadableStore({ run }: Database): ReadableStore {
  return {
    async get(namespace) {
      return (await run(getReadable, [namespace])).map(({ pattern }) => pattern);
    },
    async set(namespace, patterns, { name, address }) {
      await run(setReadable, [namespace, patterns, name, address]);
    },
  };
}
