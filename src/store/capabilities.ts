import type { Database } from './database.ts';
import type { CapabilityRow, CapabilityStore } from './ports/capabilities.ts';
import { statement } from './statements.ts';

const grantCapability =
  statement<
    [
      buildId: string,
      number: number,
      token: string,
      hash: Uint8Array,
      scopes: readonly string[],
      seconds: number,
    ]
  >('grant-capability');
const findCapability = statement<[hash: Uint8Array], CapabilityRow>('find-capability');
const revokeCapabilities = statement<[buildId: string, number: number]>('revoke-capabilities');
const sweepCapabilities = statement<[]>('sweep-capabilities');

/** The port's implementation. */
export function createCapabilityStore({ run }: Database): CapabilityStore {
  return {
    async grant(lease, { hash, scopes, expiresInSeconds }) {
      const { buildId, try: number, token } = lease;
      return (
        (await run(grantCapability, [buildId, number, token, hash, scopes, expiresInSeconds])).length > 0
      );
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
