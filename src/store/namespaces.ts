import type { Database } from './database.ts';
import type { NamespaceRow, NamespaceStore } from './ports/namespaces.ts';
import { statement } from './statements.ts';

const listNamespaces = statement<[name: string | null, after: string | null, limit: number], NamespaceRow>(
  'list-namespaces',
);
const setNamespace =
  statement<
    [
      name: string,
      weight: number | null,
      maxRunning: number | null,
      maxWaiting: number | null,
      actor: string,
      address: string | null,
    ]
  >('set-namespace');
const resetNamespace = statement<[name: string, actor: string, address: string | null]>('reset-namespace');
const sweepNamespaces = statement<[]>('sweep-namespaces');

/** The port's implementation. */
export function createNamespaceStore({ run }: Database): NamespaceStore {
  return {
    async get(name) {
      const [row] = await run(listNamespaces, [name, null, 1]);
      return row ?? { name, weight: null, maxRunning: null, maxWaiting: null, running: 0, waiting: 0 };
    },
    async list({ limit, cursor }) {
      const rows = await run(listNamespaces, [null, cursor ?? null, limit + 1]);
      const namespaces = rows.slice(0, limit);
      return { namespaces, nextCursor: rows.length > limit ? (namespaces.at(-1)?.name ?? null) : null };
    },
    async set(name, { weight, maxRunning, maxWaiting }, { name: actor, address }) {
      await run(setNamespace, [name, weight, maxRunning, maxWaiting, actor, address]);
    },
    async reset(name, { name: actor, address }) {
      await run(resetNamespace, [name, actor, address]);
    },
    async sweep() {
      await run(sweepNamespaces, []);
    },
  };
}
