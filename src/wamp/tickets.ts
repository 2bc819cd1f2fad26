import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { errorUris } from './errors.ts';
import type { Acceptance, Authentication, Hello, RealmPolicy, Refusal } from './policy.ts';

/** A policy that lets everybody in who does not insist on showing something, each under a name made up for the session. */
export const anonymousPolicy: RealmPolicy<undefined> = {
  authenticate: ({ authmethods }) =>
    authmethods.length > 0 && !authmethods.includes('anonymous')
      ? refusal(errorUris.noMatchingAuthMethod, 'the authmethod must be anonymous')
      : {
          type: 'accept',
          authid: randomUUID(),
          authrole: 'anonymous',
          authmethod: 'anonymous',
          authprovider: 'static',
        },
};

/** A policy that lets in who shows the ticket of the authid that it names. */
export function ticketPolicy(tickets: ReadonlyMap<string, string>): RealmPolicy<undefined> {
  return {
    authenticate: (hello) =>
      askForTicket(hello, 'static', (authid, ticket) => {
        const expected = tickets.get(authid);
        // An authid that does not exist takes as long as a wrong ticket.
        return isSameSecret(ticket, expected ?? '') && expected !== undefined;
      }),
  };
}

/**
 * Challenges a peer to show its ticket (WAMP, "Ticket-based Authentication"), and lets it in as the authid that it named when `isRight`
 * says so. An authid that is not known is answered as a wrong ticket is. `provider` is what WELCOME says as `authprovider`.
 */
export function askForTicket(
  { authid, authmethods }: Hello,
  provider: string,
  isRight: (authid: string, ticket: string) => boolean | Promise<boolean>,
): Authentication {
  if (authid === null || authmethods.every((method) => method === 'anonymous')) {
    return refusal(errorUris.authenticationRequired, 'an authid and the authmethod ticket are required');
  }
  if (!authmethods.includes('ticket')) {
    return refusal(errorUris.noMatchingAuthMethod, 'the authmethod must be ticket');
  }
  const judge = (right: boolean): Acceptance | Refusal =>
    right
      ? { type: 'accept', authid, authrole: 'user', authmethod: 'ticket', authprovider: provider }
      : refusal(errorUris.authenticationDenied, 'the authid or the ticket is wrong');
  return {
    type: 'challenge',
    method: 'ticket',
    verify: (ticket) => {
      const right = isRight(authid, ticket);
      return right instanceof Promise ? right.then(judge) : judge(right);
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
