import type { Database } from './database.ts';
import type { KeyRow, KeyStore } from './ports/keys.ts';
import { statement } from './statements.ts';

const createKey =
  statement<[name: string, kind: string, material: Uint8Array, certificate: string | null]>('create-key');
const findKey = statement<[name: string], KeyRow>('find-key');
const listKeys = statement<[kind: string], KeyRow>('list-keys');
const retireKey = statement<[name: string]>('retire-key');

/** The port's implementation. */
export function createKeyStore({ run }: Database): KeyStore {
  return {
    async create({ name, kind, material, certificate }) {
      await run(createKey, [name, kind, material, certificate]);
      const [row] = await run(findKey, [name]);
      if (!row) throw new Error('The key was not written.');
      return row;
    },
    list: (kind) => run(listKeys, [kind]),
    async retire(name) {
      await run(retireKey, [name]);
    },
  };
}
