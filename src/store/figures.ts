import type { Database } from './database.ts';
import type { FigureStore, LeaseFigures, QueueFigure } from './ports/figures.ts';
import { statement } from './statements.ts';

const queueFigures = statement<[namespaces: number], QueueFigure>('queue-figures');
const leaseFigures = statement<[], LeaseFigures>('lease-figures');
const tableSizes = statement<[], { name: string; bytes: number }>('table-sizes');
const blobSizes = statement<[], { packages: number; logs: number }>('blob-sizes');

const NO_LEASES: LeaseFigures = { held: 0, overdue: 0, overdueSeconds: 0 };

/** The port's implementation. */
export function createFigureStore({ run }: Database): FigureStore {
  return {
    queue: (namespaces) => run(queueFigures, [namespaces]),
    async leases() {
      const [row] = await run(leaseFigures, []);
      return row ?? NO_LEASES;
    },
    async sizes() {
      const tables = new Map((await run(tableSizes, [])).map(({ name, bytes }) => [name, bytes]));
      const [{ packages, logs } = { packages: 0, logs: 0 }] = await run(blobSizes, []);
      return { tables, packages, logs };
    },
  };
}
