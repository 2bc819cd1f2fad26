import type { Lease } from './ports/leases.ts';

/** What a statement that acts for a try is given first: it changes nothing unless the token is that of the try's lease. */
export type Fence = [buildId: string, number: number, token: string];

/** The fence of a lease. */
export function fence({ buildId, try: number, token }: Lease): Fence {
  return [buildId, number, token];
}
