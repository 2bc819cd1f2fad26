import { DatabaseAway, type Store } from '../store/index.ts';
import {
  ARCHIVE_AFTER_SECONDS,
  AUDIT_AT_ONCE,
  ORPHAN_SECONDS,
  ORPHANS_EVERY,
  RETENTION_AT_ONCE,
  RETENTION_MS,
} from './limits.ts';

interface RetentionDependencies {
  readonly retention: Store['retention'];
  readonly keep: {
    readonly buildsSeconds: number;
    readonly logsSeconds: number;
    /** All packed logs together, in bytes. */
    readonly logsBytes: number;
    readonly auditSeconds: number;
    readonly auditEntries: number;
  };
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

/**
 * Packs the logs of tries that ended, and deletes what has had its time, now and then, a few at a time. Several managers may
 * do so at once.
 */
export function startRetention({ retention, keep, logger }: RetentionDependencies): {
  stop(): Promise<void>;
} {
  const stopping = new AbortController();
  let round = 0;
  const parts: readonly [name: string, work: () => Promise<number>][] = [
    [
      'deleted old builds',
      () => retention.deleteBuilds({ endedSeconds: keep.buildsSeconds, limit: RETENTION_AT_ONCE }),
    ],
    [
      'deleted old logs',
      () => retention.deleteLogs({ keepSeconds: keep.logsSeconds, keepBytes: keep.logsBytes }),
    ],
    [
      'deleted old entries of the audit trail',
      () =>
        retention.deleteAudit({
          keepSeconds: keep.auditSeconds,
          keepEntries: keep.auditEntries,
          limit: AUDIT_AT_ONCE,
        }),
    ],
    [
      'deleted what a crash left in the blob store',
      // It looks at every file there is.
      async () => (round % ORPHANS_EVERY === 0 ? retention.deleteOrphans(ORPHAN_SECONDS) : 0),
    ],
    [
      'packed logs',
      () => retention.archiveLogs({ endedSeconds: ARCHIVE_AFTER_SECONDS, limit: RETENTION_AT_ONCE }),
    ],
  ];
  /** One that fails, as packing does on a full disk, keeps none of the others from making room. */
  const keepOnce = async (): Promise<void> => {
    round += 1;
    for (const [name, work] of parts) {
      if (stopping.signal.aborted) return;
      try {
        const count = await work();
        if (count > 0) logger.info({ count }, name);
      } catch (error) {
        if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, `not done: ${name}`);
      }
    }
  };

  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= keepOnce().finally(() => {
      running = null;
    });
  }, RETENTION_MS);
  return {
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await running;
    },
  };
}
