import type { Database } from './database.ts';
import type { CredentialRow, CredentialStore } from './ports/credentials.ts';
import { statement } from './statements.ts';

const listCredentials = statement<[namespace: string], CredentialRow>('list-credentials');
const setCredential = statement<
  [
    namespace: string,
    registry: string,
    username: string,
    password: Uint8Array,
    setBy: string,
    address: string | null,
    max: number,
  ],
  CredentialRow
>('set-credential');
const removeCredential = statement<[namespace: string, registry: string, by: string, address: string | null]>(
  'remove-credential',
  {
    repeatable: false,
  },
);

/** The port's implementation. */
export function createCredentialStore({ run }: Database): CredentialStore {
  return {
    list: (namespace) => run(listCredentials, [namespace]),
    async set({ namespace, registry, username, password, setBy }, max) {
      const [row] = await run(setCredential, [
        namespace,
        registry,
        username,
        password,
        setBy.name,
        setBy.address,
        max,
      ]);
      return row ?? null;
    },
    async remove(namespace, registry, { name, address }) {
      return (await run(removeCredential, [namespace, registry, name, address])).length > 0;
    },
  };
}
