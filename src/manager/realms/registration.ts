import { randomUUID } from 'node:crypto';
import { managerProcedures } from '../../contract/uris.ts';
import type { RealmStore } from '../../store/index.ts';
import {
  askForTicket,
  WampError,
  type ProcedureHandler,
  type RealmPolicy,
  type Refusal,
} from '../../wamp/index.ts';
import { REALM_JOIN_SECONDS } from '../limits.ts';
import { networkOf } from './network-of.ts';
import { createRateLimit } from './rate-limit.ts';
import type { RegistrationTickets } from './registration-tickets.ts';

/** Why a registration was refused: more than the rate limit, a ticket that is not known, or too many of those before. */
export type RegistrationRefusal = 'too_many' | 'wrong_ticket' | 'too_many_wrong';

interface RegistrationDependencies {
  readonly realms: Pick<RealmStore, 'allocate'>;
  /** null: whoever connects may register. */
  readonly tickets: RegistrationTickets | null;
  /** How many are let in from one address. */
  readonly registrationsPerMinute: number;
  /** How many wrong tickets of one are looked at, and logged. */
  readonly wrongTicketsPerMinute: number;
  readonly onRefused: (reason: RegistrationRefusal) => void;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  readonly now: () => number;
}

/** The realm in which an enterprise worker asks for a realm of its own (worker contract 0.3, "Connecting"). */
export function registrationPolicy<Data>(dependencies: RegistrationDependencies): RealmPolicy<Data> {
  const { realms, tickets, registrationsPerMinute, wrongTicketsPerMinute, onRefused, logger, now } =
    dependencies;
  const isTooMany = createRateLimit(registrationsPerMinute, now);
  const areTooManyWrong = createRateLimit(wrongTicketsPerMinute, now);
  const tooManyWrong: Refusal = {
    type: 'refuse',
    uri: 'io.quay.buildworker.toomanywrongtickets',
    message: `more than ${wrongTicketsPerMinute} wrong tickets a minute from this address: wait a minute`,
  };
  const register: ProcedureHandler<Data> = async (_args, _kwargs, { caller }) => {
    const address = caller?.transport.address ?? '';
    if (isTooMany(networkOf(address))) {
      onRefused('too_many');
      throw new WampError('io.quay.buildworker.toomanyregistrations', [
        `more than ${registrationsPerMinute} registrations a minute from this address: wait a minute`,
      ]);
    }
    const registeredAs = tickets === null ? null : (caller?.authid ?? null);
    const { name } = await realms.allocate({
      name: randomUUID(),
      kind: 'enterprise',
      tokenHash: null,
      buildId: null,
      expiresInSeconds: REALM_JOIN_SECONDS,
      registeredAs,
    });
    logger.info({ address, registeredAs }, 'a worker registered');
    return { args: [name] };
  };
  return {
    procedures: new Map([[managerProcedures.register, register]]),
    authorize: (_session, action, uri) => action === 'call' && uri === managerProcedures.register,
    ...(tickets === null
      ? {}
      : {
          authenticate: (hello) => {
            const { address } = hello.transport;
            const isShutOut = (): boolean => areTooManyWrong.isReached(networkOf(address));
            if (isShutOut()) {
              onRefused('too_many_wrong');
              return tooManyWrong;
            }
            return askForTicket(hello, 'tickets', async (authid, ticket) => {
              // Others that were challenged at the same time may have used up what there was.
              const isLate = isShutOut();
              const isRight = !isLate && (await tickets.verify(authid, ticket));
              if (!isRight) {
                onRefused(isLate ? 'too_many_wrong' : 'wrong_ticket');
                // A flood of them shall not flood the log.
                if (!areTooManyWrong(networkOf(address)))
                  logger.warn({ address, authid: authid.slice(0, 128) }, 'a wrong ticket was shown');
              }
              return isRight;
            });
          },
        }),
  };
}
