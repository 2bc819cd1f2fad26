import type { Store } from '../../store/index.ts';
import { beginHosted } from '../executors/begin-hosted.ts';
import type { ListenerTlsPaths } from '../realms/listener-tls.ts';
import type { RegistrationTickets } from '../realms/registration-tickets.ts';
import { createResumption } from '../realms/resumption.ts';
import type { SlotConnection } from '../realms/slot-connection.ts';
import { startWorkerListener, type WorkerListener } from '../realms/worker-listener.ts';
import type { ManagerSettings } from '../settings.ts';
import type { Scheduling } from './start-scheduling.ts';
import type { ManagerSurroundings } from './surroundings.ts';

export interface LettingInDependencies {
  readonly store: Store;
  readonly scheduling: Pick<Scheduling, 'roster' | 'scheduler'>;
  /** What enterprise workers show with `REGISTRATION=ticket`. */
  readonly tickets: RegistrationTickets | null;
  /** Aborted when what is under way is given up. */
  readonly signal: AbortSignal;
}

/**
 * Lets workers connect, and hands each that is ready to the scheduler.
 *
 * @throws ListenerTlsError where the certificate or its key cannot be used.
 */
export async function letWorkersIn(
  { settings, manager, metrics, logger, now }: ManagerSurroundings,
  { store, scheduling: { roster, scheduler }, tickets, signal }: LettingInDependencies,
): Promise<WorkerListener> {
  /** A hosted worker has one build, which was claimed before the worker was started. */
  const hostedReady = async (slot: SlotConnection): Promise<void> => {
    const claim = await beginHosted(slot, {
      hostedWorkers: store.hostedWorkers,
      leases: store.leases,
      manager,
      leaseSeconds: settings.LEASE_SECONDS,
      random: Math.random,
      logger,
      signal,
    });
    if (claim === null) slot.session.abort('io.quay.buildworker.nobuild', 'its build is not there any more');
    else scheduler.hostedReady(slot, claim);
  };

  return startWorkerListener({
    address: settings.LISTEN_WAMP,
    tls: listenerTlsOf(settings),
    registrationsPerMinute: settings.REGISTRATIONS_PER_MINUTE,
    wrongTicketsPerMinute: settings.WRONG_TICKETS_PER_MINUTE,
    unknownRealmsPerMinute: settings.UNKNOWN_REALMS_PER_MINUTE,
    connectionsPerAddress: settings.UNREADY_CONNECTIONS_MAX,
    realms: store.realms,
    registration: settings.REGISTRATION === 'ticket' ? (tickets ?? 'off') : settings.REGISTRATION,
    resumption:
      settings.RESUME_GRACE_SECONDS === 0 ? null : createResumption({ leases: store.leases, manager }),
    onReady: (slot) => {
      roster.add(slot);
      if (slot.session.realm.data.kind === 'enterprise') scheduler.slotReady(slot);
      else {
        hostedReady(slot).catch((error: unknown) =>
          logger.warn({ err: error }, 'a hosted worker could not be given its build'),
        );
      }
    },
    onResumed: (slot, resumed) => {
      roster.add(slot);
      scheduler.slotResumed(slot, resumed);
    },
    onGone: (slot) => {
      scheduler.slotGone(slot);
      roster.remove(slot);
    },
    onDrop: (kind) => metrics.dropped.inc({ kind }),
    onRefused: (result) => metrics.registrations.inc({ result }),
    onShutOut: () => metrics.connectionsShutOut.inc(),
    logger,
    now,
  });
}

function listenerTlsOf({
  WAMP_TLS_CERT_PATH: certificate,
  WAMP_TLS_KEY_PATH: key,
  WAMP_TLS_CLIENT_CA_PATH: clientCa,
}: ManagerSettings): ListenerTlsPaths | null {
  return certificate === null || key === null ? null : { certificate, key, clientCa };
}
