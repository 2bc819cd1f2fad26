import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { errorUris } from './errors.ts';
import type { Authentication, Hello, RealmPolicy, Refusal } from './policy.ts';

/** A policy that lets everybody in, each under a name made up for the session. */
export const anonymousPolicy: RealmPolicy<undefined> = {
  authenticate: () => ({
    type: 'accept',
    authid: randomUUID(),
    authrole: 'anonymous',
    authmethod: 'anonymous',
    authprovider: 'static',
  }),
};

/** A policy that lets in who shows the ticket of the authid that it names (WAMP, "Ticket-based Authentication"). */
export function ticketPolicy(tickets: ReadonlyMap<string, string>): RealmPolicy<undefined> {
  return {
    authenticate({ authid, authmethods }: Hello): Authentication {
      if (authid === null || authmethods.every((method) => method === 'anonymous')) {
        return refusal(errorUris.authenticationRequired, 'an authid and the authmethod ticket are required');
      }
      if (!authmethods.includes('ticket')) {
        return refusal(errorUris.noMatchingAuthMethod, 'the authmethod must be ticket');
      }
      return {
        type: 'challenge',
        method: 'ticket',
        verify(signature) {
          const expected = tickets.get(authid);
          // An authid that does not exist takes as long, and reads the same, as a wrong ticket.
          const matches = isSameSecret(signature, expected ?? '') && expected !== undefined;
          return matches
            ? { type: 'accept', authid, authrole: 'user', authmethod: 'ticket', authprovider: 'static' }
            : refusal(errorUris.authenticationDenied, 'the authid or the ticket is wrong');
        },
      };
    },
  };
}

function refusal(uri: string, message: string): Refusal {
  return { type: 'refuse', uri, message };
}

/** Compares in a time that tells neither where two secrets differ nor how long they are. */
function isSameSecret(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
