/** Every metric of the manager. `docs/reference/metrics.md` is generated from this. */

export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Ends with the unit, as Prometheus has it. */
  readonly name: string;
  readonly help: string;
  /**
   * `manager`: what this one has done or holds; add them up. `farm`: read from the database, the same at every manager; take one, as
   * `max` does.
   */
  readonly of: 'manager' | 'farm';
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram's buckets, in seconds. */
  readonly buckets?: readonly number[];
  /** What is a bad value, and what to do about it; absent where it only informs. */
  readonly bad?: string;
}

const MOMENT_SECONDS = [0.005, 0.025, 0.1, 0.5, 2.5, 10];
const START_SECONDS = [0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800, 7200];
const WORK_SECONDS = [1, 5, 15, 60, 180, 600, 1800, 7200];

export const metricCatalogue = {
  info: {
    type: 'gauge',
    name: 'quay_build_manager_info',
    help: 'Always 1: the name of this manager and its version.',
    of: 'manager',
    labels: ['manager', 'version'],
    bad: 'Several versions for longer than an upgrade takes: one manager was forgotten.',
  },

  builds: {
    type: 'gauge',
    name: 'quay_build_builds',
    help: 'Builds by state, those that ended for as long as they are kept.',
    of: 'farm',
    labels: ['state'],
  },
  queueBuilds: {
    type: 'gauge',
    name: 'quay_build_queue_builds',
    help: 'Waiting builds by namespace: the 20 that have the most, and (other).',
    of: 'farm',
    labels: ['namespace'],
    bad: 'It grows for an hour: there are fewer slots than builds. Add workers, or executors; where one namespace alone has them, look at its limit and weight.',
  },
  queueOldest: {
    type: 'gauge',
    name: 'quay_build_queue_oldest_seconds',
    help: 'How long the oldest waiting build could have been claimed by now, by namespace; 0 when none could.',
    of: 'farm',
    labels: ['namespace'],
    bad: 'Over some minutes while slots are ready: no worker fits what the build asks for. `quay-build show ID` says why it waits.',
  },
  submitToStart: {
    type: 'histogram',
    name: 'quay_build_submit_to_start_seconds',
    help: "From a build's submission to the first phase of its first try.",
    of: 'manager',
    buckets: START_SECONDS,
    bad: 'It is what people wait for: compare it with the queue (too few slots) and with claim_to_start (slow starts).',
  },
  claimToStart: {
    type: 'histogram',
    name: 'quay_build_claim_to_start_seconds',
    help: 'From the claim of a try to its first phase, by the kind of its worker: for hosted ones, starting the worker is in it.',
    of: 'manager',
    labels: ['kind'],
    buckets: START_SECONDS,
    bad: 'For enterprise over a second: the database, or the way to the worker, is slow. For hosted: see executor_setup.',
  },
  phases: {
    type: 'histogram',
    name: 'quay_build_phase_duration_seconds',
    help: 'How long tries were in a phase, by how they left it: `passed` to the next one, or the outcome of the try.',
    of: 'manager',
    labels: ['phase', 'result'],
    buckets: WORK_SECONDS,
    bad: '`pulling` or `pushing` slower than usual: the registry, or the way to it. `checking-cache` and `building`: the cache is cold, or the engine is short of disk.',
  },
  tries: {
    type: 'histogram',
    name: 'quay_build_try_duration_seconds',
    help: 'How long tries took from their claim, by outcome; `elsewhere` where it was over before this manager heard how.',
    of: 'manager',
    labels: ['outcome'],
    buckets: WORK_SECONDS,
    bad: 'Many `lost`: workers or managers die; their logs say why. Many `internalerror`: engines or registries fail; see errors by code.',
  },
  ended: {
    type: 'counter',
    name: 'quay_build_builds_ended_total',
    help: 'Builds that ended at this manager, by state.',
    of: 'manager',
    labels: ['state'],
    bad: "`internalerror` is never a user's fault: `quay-build list --state internalerror`, then `show` says what failed in each try.",
  },
  errors: {
    type: 'counter',
    name: 'quay_build_errors_total',
    help: 'Tries that failed, by the code of docs/errors.md.',
    of: 'manager',
    labels: ['code'],
    bad: 'One code for many builds at once is a cause outside of them: the registry for push and pull errors, the git server, the engines.',
  },

  slots: {
    type: 'gauge',
    name: 'quay_build_worker_slots',
    help: 'Slots of connected workers, by kind and state.',
    of: 'farm',
    labels: ['kind', 'state'],
    bad: 'Fewer than there are workers: some cannot connect. None ready while builds wait: all are busy, draining, or fit none of them.',
  },
  executorLaunches: {
    type: 'counter',
    name: 'quay_build_executor_launches_total',
    help: 'Hosted workers that an executor was asked for, by what became of it: came, cancelled, elsewhere, stopped, full, failed.',
    of: 'manager',
    labels: ['executor', 'end'],
    bad: '`failed` grows: the executor brings no workers; the log says why ("no worker came for a build"). `came` alone is good.',
  },
  executorSetup: {
    type: 'histogram',
    name: 'quay_build_executor_setup_seconds',
    help: 'From asking an executor for a worker until the worker is ready.',
    of: 'manager',
    labels: ['executor'],
    buckets: START_SECONDS,
    bad: "Near the executor's setup_seconds: launches begin to fail. Raise it, or see what makes its machine slow.",
  },
  executorWorkers: {
    type: 'gauge',
    name: 'quay_build_executor_workers',
    help: 'Hosted workers that an executor runs or starts.',
    of: 'manager',
    labels: ['executor'],
    bad: 'As many as executor_capacity for long while builds wait: raise its capacity, or add an executor.',
  },
  executorCapacity: {
    type: 'gauge',
    name: 'quay_build_executor_capacity',
    help: 'How many hosted workers an executor may run.',
    of: 'manager',
    labels: ['executor'],
  },
  executorUp: {
    type: 'gauge',
    name: 'quay_build_executor_up',
    help: 'Whether an executor answers, and is not left alone for a while because it brought no workers.',
    of: 'manager',
    labels: ['executor'],
    bad: '0: its engine, or its machine, is down or refuses us; the log says which.',
  },

  sessions: {
    type: 'gauge',
    name: 'quay_build_router_sessions',
    help: 'Open WAMP sessions: workers, and those who are about to be.',
    of: 'manager',
    bad: 'Far more than slots: something connects and does not become a worker.',
  },
  dropped: {
    type: 'counter',
    name: 'quay_build_router_dropped_total',
    help: 'What the WAMP router refused or dropped: violation, hello, connection, request, answer, backlog.',
    of: 'manager',
    labels: ['kind'],
    bad: '`hello` and `connection`: somebody without a realm or a certificate tries to join. `violation`: a peer that is no worker. `backlog`: a worker does not read; its network is slow. `answer`: late answers, normal after cancellations.',
  },
  registrations: {
    type: 'counter',
    name: 'quay_build_registrations_total',
    help: 'Registrations of workers: accepted, or refused as too_many (the rate limit), wrong_ticket, or too_many_wrong (wrong tickets from that address before).',
    of: 'manager',
    labels: ['result'],
    bad: '`wrong_ticket`: a worker with an old ticket, or somebody who guesses. `too_many`: a worker that restarts all the time, or many behind one address.',
  },

  connectionsShutOut: {
    type: 'counter',
    name: 'quay_build_connections_shut_out_total',
    help: "Connections to the workers' listener that were closed at once: too many of their address had no worker that was ready.",
    of: 'manager',
    bad: 'It grows: somebody floods the listener, from the address that the log names; or many workers come at once from behind one address: raise UNREADY_CONNECTIONS_MAX.',
  },

  databaseUp: {
    type: 'gauge',
    name: 'quay_build_database_up',
    help: 'Whether the database answered last time.',
    of: 'manager',
    bad: '0 for longer than a restart of it takes: nothing is submitted, claimed or ended; what runs goes on. Look at PostgreSQL, its disk, and the way to it.',
  },
  statements: {
    type: 'histogram',
    name: 'quay_build_database_statement_seconds',
    help: 'How long the statements of the store took, with the wait for a connection; each is a file of src/store/statements.',
    of: 'manager',
    labels: ['statement'],
    buckets: MOMENT_SECONDS,
    bad: 'claim-build or append-log-chunk over 0.1: the disk of the database is slow (fsync), or it lacks memory or autovacuum.',
  },
  statementFailures: {
    type: 'counter',
    name: 'quay_build_database_failures_total',
    help: 'Statements that failed: away (no database), full (its disk), conflict (tried again), failed (a mistake of ours).',
    of: 'manager',
    labels: ['reason'],
    bad: '`full`: make room on the disk of the database. `failed` at all: the log has it. `conflict` now and then is normal.',
  },
  connections: {
    type: 'gauge',
    name: 'quay_build_database_connections',
    help: 'Connections to the database, by state: busy, idle. There are at most 16, and one more that listens.',
    of: 'manager',
    labels: ['state'],
  },
  connectionsWaiting: {
    type: 'gauge',
    name: 'quay_build_database_waiting_statements',
    help: 'Statements that wait for a connection.',
    of: 'manager',
    bad: 'Over 0 for long: the database is slower than what is asked of it; see database_statement_seconds.',
  },
  tableBytes: {
    type: 'gauge',
    name: 'quay_build_database_table_bytes',
    help: 'The size of each table on the disk of the database, with its indexes; read once a minute at most.',
    of: 'farm',
    labels: ['table'],
    bad: 'log_chunks grows although tries end: logs are not packed; see retention. builds and tries: lower KEEP_BUILDS_DAYS.',
  },

  leases: {
    type: 'gauge',
    name: 'quay_build_leases',
    help: 'Tries that run, by whether their lease is valid or overdue: its worker may come back, or its manager is gone.',
    of: 'farm',
    labels: ['state'],
  },
  leaseOverdue: {
    type: 'gauge',
    name: 'quay_build_lease_overdue_seconds',
    help: 'How long ago the first of the overdue leases ran out; 0 when none has.',
    of: 'farm',
    bad: 'Over RESUME_GRACE_SECONDS and a minute: nobody sweeps. Is any manager running, and its database up for longer than LEASE_SECONDS?',
  },
  leaseLag: {
    type: 'gauge',
    name: 'quay_build_lease_renewal_age_seconds',
    help: 'How long ago this manager renewed its leases; 0 when it holds none.',
    of: 'manager',
    bad: 'Over half of LEASE_SECONDS: its tries are about to be given to others. The database is away or slow, or this manager is short of CPU (nodejs_eventloop_lag).',
  },
  leasesExpired: {
    type: 'counter',
    name: 'quay_build_leases_expired_total',
    help: 'Leases that this manager found run out, whoever held them.',
    of: 'manager',
    bad: 'Managers or workers died, or froze for longer than LEASE_SECONDS. Each has a line in the log.',
  },

  logRecords: {
    type: 'counter',
    name: 'quay_build_log_records_total',
    help: 'Records of logs that were stored.',
    of: 'manager',
  },
  logBytes: {
    type: 'counter',
    name: 'quay_build_log_bytes_total',
    help: 'Text of logs that was stored, in characters, before it is packed.',
    of: 'manager',
    bad: 'A jump: one build floods its log; `quay-build list --state running` and `log` find it.',
  },
  blobBytes: {
    type: 'gauge',
    name: 'quay_build_blob_bytes',
    help: 'Bytes in the blob store that are packages or packed logs; read once a minute at most.',
    of: 'farm',
    labels: ['kind'],
    bad: 'Near the size of the disk: lower KEEP_LOGS_BYTES, KEEP_LOGS_DAYS or PACKAGE_MAX_BYTES, or make it larger.',
  },
  retained: {
    type: 'counter',
    name: 'quay_build_retention_total',
    help: 'What retention has done: builds, logs, audit entries and orphans deleted, logs packed.',
    of: 'manager',
    labels: ['work'],
  },
  retentionFailures: {
    type: 'counter',
    name: 'quay_build_retention_failures_total',
    help: 'Rounds of retention that failed, by work.',
    of: 'manager',
    labels: ['work'],
    bad: 'It grows: the disk of the blob store is full or read-only, or the database refuses; the log says which. Nothing is lost, but nothing goes.',
  },

  httpRequests: {
    type: 'histogram',
    name: 'quay_build_http_request_duration_seconds',
    help: 'How long requests took until their answer was sent or its connection was closed, by route. Followed logs are left out: they last as long as somebody follows.',
    of: 'manager',
    labels: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    bad: '5xx: 503 while the database is away, 500 is a mistake of ours, with its stack in the log. 401 and 403 in numbers: somebody without a token.',
  },
  viewers: {
    type: 'gauge',
    name: 'quay_build_http_log_viewers',
    help: 'Who follows a log at this manager now; 512 may.',
    of: 'manager',
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricKey = keyof typeof metricCatalogue;
