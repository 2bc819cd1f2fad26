import type { Database } from './database.ts';
import type { RealmRow, RealmStore } from './ports/realms.ts';
import { statement } from './statements.ts';

const allocateRealm = statement<
  [
    name: string,
    kind: string,
    tokenHash: Uint8Array | null,
    buildId: string | null,
    seconds: number,
    registeredAs: string | null,
  ],
  RealmRow
>('allocate-realm', { repeatable: false });
const findRealm = statement<[name: string], RealmRow>('find-realm');
const joinRealm = statement<[name: string, seconds: number, worker: string, address: string]>('join-realm', {
  repeatable: false,
});
const keepRealms = statement<[names: readonly string[], seconds: number]>('keep-realms');
const listForgottenRealms = statement<[names: readonly string[]], { name: string }>('list-forgotten-realms');
const removeRealm = statement<[name: string]>('remove-realm');
const sweepRealms = statement<[], { name: string }>('sweep-realms');

/** The port's implementation. */
export function createRealmStore({ run }: Database): RealmStore {
  return {
    async allocate({ name, kind, tokenHash, buildId, expiresInSeconds, registeredAs }) {
      const [row] = await run(allocateRealm, [
        name,
        kind,
        tokenHash,
        buildId,
        expiresInSeconds,
        registeredAs,
      ]);
      if (!row) throw new Error('The realm was not written.');
      return row;
    },
    async find(name) {
      const [row] = name.includes('\0') ? [] : await run(findRealm, [name]);
      return row ?? null;
    },
    async markJoined(name, { id, address }, expiresInSeconds) {
      return (await run(joinRealm, [name, expiresInSeconds, id, address])).length > 0;
    },
    async keep(names, expiresInSeconds) {
      if (names.length > 0) await run(keepRealms, [names, expiresInSeconds]);
    },
    async forgotten(names) {
      if (names.length === 0) return [];
      return (await run(listForgottenRealms, [names])).map(({ name }) => name);
    },
    async remove(name) {
      await run(removeRealm, [name]);
    },
    async sweep() {
      return (await run(sweepRealms, [])).map(({ name }) => name);
    },
  };
}
