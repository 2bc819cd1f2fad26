import type { Database } from './database.ts';
import type { SealedPlace, SealedStore } from './ports/sealed.ts';
import { statement } from './statements.ts';

interface SealedRow {
  readonly place: SealedPlace['place'];
  readonly owner: string;
  readonly registry: string;
  readonly sealed: Uint8Array;
}

const countSealed = statement<[], { fingerprint: Uint8Array; count: number }>('count-sealed');
const listSealed = statement<[fingerprint: Uint8Array, limit: number], SealedRow>('list-sealed-by-others');
const replaceSealed =
  statement<[place: string, owner: string, registry: string, old: Uint8Array, sealed: Uint8Array]>(
    'replace-sealed',
  );

/** The port's implementation. */
export function createSealedStore({ run }: Database): SealedStore {
  return {
    counts: () => run(countSealed, []),
    async listOthers(fingerprint, limit) {
      const rows = await run(listSealed, [fingerprint, limit]);
      return rows.map((row) => ({ ...placeOf(row), sealed: row.sealed }));
    },
    async replace(value, sealed) {
      const { owner, registry } = rowOf(value);
      return (await run(replaceSealed, [value.place, owner, registry, value.sealed, sealed])).length > 0;
    },
  };
}

function placeOf({ place, owner, registry }: SealedRow): SealedPlace {
  switch (place) {
    case 'build':
      return { place, buildId: owner };
    case 'key':
      return { place, name: owner };
    case 'credential':
      return { place, namespace: owner, registry };
  }
}

function rowOf(value: SealedPlace): Pick<SealedRow, 'owner' | 'registry'> {
  switch (value.place) {
    case 'build':
      return { owner: value.buildId, registry: '' };
    case 'key':
      return { owner: value.name, registry: '' };
    case 'credential':
      return { owner: value.namespace, registry: value.registry };
  }
}
