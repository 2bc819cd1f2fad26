import type { Database } from './database.ts';
import type { KeyRow, KeyStore } from './ports/keys.ts';
import { statement } from './statements.ts';

const createKey =
  statement<
    [name: string, kind: string, material: Uint8Array, certificate: string | null, isActive: boolean]
  >('create-key');
const findKey = statement<[name: string], KeyRow>('find-key');
const listKeys = statement<[kind: string], KeyRow>('list-keys');
type ByActor = [name: string, by: string, address: string | null];
const activateKey = statement<ByActor>('activate-key', { repeatable: false });
const retireKey = statement<ByActor>('retire-key', { repeatable: false });

/** The port's implementation. */
export function createKeyStore({ run }: Database): KeyStore {
  return {
    async create({ name, kind, material, certificate, isActive }) {
      await run(createKey, [name, kind, material, certificate, isActive]);
      const [row] = await run(findKey, [name]);
      if (!row) throw new Error('The key was not written.');
      return row;
    },
    list: (kind) => run(listKeys, [kind]),
    async activate(name, by) {
      return (await run(activateKey, [name, by.name, by.address])).length > 0;
    },
    async retire(name, by) {
      return (await run(retireKey, [name, by.name, by.address])).length > 0;
    },
  };
}
