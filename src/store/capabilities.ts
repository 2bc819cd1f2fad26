import type { Database } from './database.ts';
import { fence, type Fence } from './fence.ts';
import type { CapabilityRow, CapabilityStore } from './ports/capabilities.ts';
import { statement } from './statements.ts';

const grantCapability =
  statement<[...Fence, hash: Uint8Array, scopes: readonly string[], seconds: number]>('grant-capability');
const findCapability = statement<[hash: Uint8Array], CapabilityRow>('find-capability');
const revokeCapabilities = statement<[buildId: string, number: number]>('revoke-capabilities');
const sweepCapabilities = statement<[]>('sweep-capabilities');

/** The port's implementation. */
export function createCapabilityStore({ run }: Database): CapabilityStore {
  return {
    async grant(lease, { hash, scopes, expiresInSeconds }) {
      const rows = await run(grantCapability, [...fence(lease), hash, scopes, expiresInSeconds]);
      return rows.length > 0;
    },
    async find(hash) {
      const [row] = await run(findCapability, [hash]);
      return row ?? null;
    },
    async revokeTry(buildId, number) {
      await run(revokeCapabilities, [buildId, number]);
    },
    async sweep() {
      await run(sweepCapabilities, []);
    },
  };
}
