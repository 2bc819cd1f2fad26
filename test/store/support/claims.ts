import type { Claim, ClaimRequest, NamespaceLimits, NewBuild, Store } from '../../../src/store/index.ts';
import { claimed, claimRequest, newBuild } from './store.ts';

/** What tests of claims submit, claim and end. */

export const operator = { name: 'operator', address: null };
export const noLimits: NamespaceLimits = { weight: null, maxRunning: null, maxWaiting: null };

export async function submit(
  store: Store,
  namespace: string,
  overrides: Partial<NewBuild> = {},
): Promise<string> {
  const { id } = await store.builds.submit(
    newBuild({ namespace, repository: `${namespace}/app`, ...overrides }),
  );
  return id;
}

export async function submitMany(store: Store, namespace: string, builds: number): Promise<void> {
  await Promise.all(Array.from({ length: builds }, () => submit(store, namespace)));
}

/** Claims so many, one after the other, and says of which namespaces they are. */
export async function served(
  store: Store,
  claims: number,
  request: Partial<ClaimRequest> = {},
): Promise<string[]> {
  const namespaces: string[] = [];
  for (let count = 0; count < claims; count += 1) {
    namespaces.push(claimed(await store.leases.claim(claimRequest(request))).build.namespace);
  }
  return namespaces;
}

export const counted = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    Map.groupBy(names, (name) => name)
      .entries()
      .map(([name, all]) => [name, all.length]),
  );

export const finish = (store: Store, { lease }: Claim): Promise<boolean> =>
  store.leases.finish(lease, { state: 'complete', outputs: {} });
