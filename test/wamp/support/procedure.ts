import { expect } from 'vitest';
import { ALL_ROLES, join, routerWith } from './peer.ts';
import type { Peer } from './peer.ts';

/** The procedure that the tests of calls call. */
export const P = 'test.procedure';

/** Registers a procedure and answers with the registration's id. */
export function register(peer: Peer, uri = P, options: object = {}): unknown {
  const [answer] = peer.ask([64, 900, options, uri]);
  expect(answer).toEqual([65, 900, expect.any(Number)]);
  return answer?.[2];
}

/** A router with one who calls and one who is called. */
export function twoPeers(calleeDetails: object = ALL_ROLES) {
  const router = routerWith();
  return {
    router,
    caller: join(router),
    callee: join(router, 'realm1', calleeDetails),
  };
}
