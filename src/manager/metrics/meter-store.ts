import type { FinalState } from '../../contract/phases.ts';
import type {
  Claim,
  Lease,
  LeaseStore,
  LogStore,
  RetentionStore,
  Store,
  TryOutcome,
} from '../../store/index.ts';
import type { ManagerMetrics } from './metrics.ts';

/** How a try ended; `elsewhere`: it was over before we heard how, as a cancelled one may be. */
type HeldOutcome = TryOutcome | 'elsewhere';

/** A try that this manager holds. */
interface Held {
  readonly lease: Lease;
  readonly kind: 'enterprise' | 'hosted';
  readonly submittedAt: number;
  readonly claimedAt: number;
  /** Whether it began with another holder, so that its start is not ours to measure. */
  readonly isResumed: boolean;
  renewedAt: number;
  /** Its end is being written: that its lease is gone says nothing then. */
  isConcluding: boolean;
  phase: { readonly name: string; readonly since: number } | null;
}

/** The store, every operation of which is counted that says something of builds, tries, leases, logs and retention. `now` in milliseconds since 1970. */
export function meterStore(store: Store, metrics: ManagerMetrics, now: () => number): Store {
  const held = new Map<string, Held>();

  const hold = (
    { build, lease }: Claim,
    how: Pick<Held, 'kind'> & { readonly resumed?: { phase: string | null } },
  ): void => {
    const at = now();
    held.set(lease.token, {
      lease,
      kind: how.kind,
      submittedAt: build.createdAt.getTime(),
      claimedAt: at,
      renewedAt: at,
      isConcluding: false,
      isResumed: how.resumed !== undefined,
      phase:
        how.resumed?.phase === undefined || how.resumed.phase === null
          ? null
          : { name: how.resumed.phase, since: at },
    });
  };

  const enter = (token: string, name: string): void => {
    const each = held.get(token);
    if (each === undefined) return;
    const at = now();
    leavePhase(each, 'passed');
    if (each.phase === null && !each.isResumed) {
      metrics.claimToStart.observe({ kind: each.kind }, seconds(each.claimedAt, at));
      if (each.lease.try === 1) metrics.submitToStart.observe(seconds(each.submittedAt, at));
    }
    each.phase = { name, since: at };
  };

  const leavePhase = ({ phase }: Held, result: 'passed' | HeldOutcome): void => {
    if (phase) metrics.phases.observe({ phase: phase.name, result }, seconds(phase.since, now()));
  };

  /** Whoever finds a try overdue ends it, also one that another manager holds. */
  const end = (token: string, outcome: HeldOutcome): void => {
    const each = held.get(token);
    if (each === undefined) return;
    held.delete(token);
    leavePhase(each, outcome);
    metrics.tries.observe({ outcome }, seconds(each.claimedAt, now()));
  };

  const endUnlessConcluding = (token: string, outcome: HeldOutcome): void => {
    if (held.get(token)?.isConcluding === false) end(token, outcome);
  };

  const endThose = ({ cancelled, lost }: Awaited<ReturnType<LeaseStore['fates']>>): void => {
    for (const token of cancelled) endUnlessConcluding(token, 'cancelled');
    for (const token of lost) endUnlessConcluding(token, 'lost');
  };
  const concludes = ({ token }: Lease): void => {
    const each = held.get(token);
    if (each) each.isConcluding = true;
  };

  const buildEnded = (state: FinalState): void => metrics.ended.inc({ state });

  metrics.addProbe(() => {
    const oldest = Math.min(...[...held.values()].map(({ renewedAt }) => renewedAt));
    metrics.leaseLag.set(held.size === 0 ? 0 : seconds(oldest, now()));
  });

  const { leases, builds, hostedWorkers, realms } = store;
  return {
    ...store,
    builds: {
      ...builds,
      async cancel(...args) {
        const answer = await builds.cancel(...args);
        if (answer?.cancelled === true) buildEnded('cancelled');
        return answer;
      },
    },
    leases: {
      ...leases,
      async claim(request) {
        const claim = await leases.claim(request);
        if (claim !== null) hold(claim, { kind: request.worker === null ? 'hosted' : 'enterprise' });
        return claim;
      },
      async resume(...args) {
        const answer = await leases.resume(...args);
        if (typeof answer === 'object') hold(answer, { kind: 'enterprise', resumed: answer });
        return answer;
      },
      async renew(request) {
        const answer = await leases.renew(request);
        const at = now();
        for (const token of answer.renewed) {
          const each = held.get(token);
          if (each) each.renewedAt = at;
        }
        endThose(answer);
        return answer;
      },
      async fates(request) {
        const answer = await leases.fates(request);
        endThose(answer);
        return answer;
      },
      async enterPhase(lease, phase, baseImage) {
        const entered = await leases.enterPhase(lease, phase, baseImage);
        if (entered) enter(lease.token, phase);
        return entered;
      },
      async suspend(lease, how) {
        const suspended = await leases.suspend(lease, how);
        // Whoever resumes it goes on with it.
        held.delete(lease.token);
        return suspended;
      },
      async finish(lease, result) {
        concludes(lease);
        const finished = await leases.finish(lease, result);
        end(lease.token, finished ? result.state : 'elsewhere');
        if (!finished) return finished;
        buildEnded(result.state);
        if (result.state !== 'complete') metrics.errors.inc({ code: result.error.code });
        return finished;
      },
      async giveBack(lease, how) {
        concludes(lease);
        const state = await leases.giveBack(lease, how);
        end(lease.token, state === null ? 'elsewhere' : how.outcome);
        if (state === null) return state;
        if (state === 'internalerror') buildEnded(state);
        if (how.error) metrics.errors.inc({ code: how.error.code });
        return state;
      },
      async expireLeases(rules) {
        const expired = await leases.expireLeases(rules);
        metrics.leasesExpired.inc(expired.length);
        for (const { state } of expired) if (state === 'internalerror') buildEnded(state);
        return expired;
      },
    },
    hostedWorkers: {
      ...hostedWorkers,
      async begin(...args) {
        const claim = await hostedWorkers.begin(...args);
        // It may have been claimed by another manager, which asked for its worker.
        if (claim !== null && !held.has(claim.lease.token)) hold(claim, { kind: 'hosted' });
        return claim;
      },
    },
    realms: {
      ...realms,
      async allocate(realm) {
        const row = await realms.allocate(realm);
        if (realm.kind === 'enterprise') metrics.registrations.inc({ result: 'accepted' });
        return row;
      },
    },
    logs: meterLogs(store.logs, metrics),
    retention: meterRetention(store.retention, metrics),
  };
}

function meterLogs(logs: LogStore, metrics: ManagerMetrics): LogStore {
  return {
    ...logs,
    async append(lease, records, messages) {
      const last = await logs.append(lease, records, messages);
      if (last !== null) {
        metrics.logRecords.inc(records.length);
        metrics.logBytes.inc(records.reduce((sum, { text }) => sum + text.length, 0));
      }
      return last;
    },
  };
}

function meterRetention(retention: RetentionStore, metrics: ManagerMetrics): RetentionStore {
  const meter =
    <A extends unknown[]>(work: string, operation: (...args: A) => Promise<number>) =>
    async (...args: A): Promise<number> => {
      try {
        const count = await operation(...args);
        metrics.retained.inc({ work }, count);
        return count;
      } catch (error) {
        metrics.retentionFailures.inc({ work });
        throw error;
      }
    };
  return {
    ...retention,
    archiveLogs: meter('pack-logs', (rules: Parameters<RetentionStore['archiveLogs']>[0]) =>
      retention.archiveLogs(rules),
    ),
    deleteLogs: meter('delete-logs', (rules: Parameters<RetentionStore['deleteLogs']>[0]) =>
      retention.deleteLogs(rules),
    ),
    deleteBuilds: meter('delete-builds', (rules: Parameters<RetentionStore['deleteBuilds']>[0]) =>
      retention.deleteBuilds(rules),
    ),
    deleteAudit: meter('delete-audit', (rules: Parameters<RetentionStore['deleteAudit']>[0]) =>
      retention.deleteAudit(rules),
    ),
    deleteOrphans: meter('delete-orphans', (rules: Parameters<RetentionStore['deleteOrphans']>[0]) =>
      retention.deleteOrphans(rules),
    ),
  };
}

/** Between two times in milliseconds; the database's clock may be ahead of ours. */
function seconds(from: number, to: number): number {
  return Math.max(0, to - from) / 1000;
}
