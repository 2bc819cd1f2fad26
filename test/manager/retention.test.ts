import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ORPHANS_EVERY, RETENTION_MS } from '../../src/manager/limits.ts';
import { startRetention } from '../../src/manager/retention.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const keep = { buildsSeconds: 100, logsSeconds: 10, logsBytes: 1000, auditSeconds: 50, auditEntries: 2000 };

it('looks once a minute, makes room before it packs, and goes on after what fails', async () => {
  const asked: string[] = [];
  const told: string[] = [];
  const retention = startRetention({
    keep,
    retention: {
      deleteBuilds: ({ endedSeconds }) => {
        asked.push(`builds ${endedSeconds}`);
        return Promise.reject(new Error('the disk is full'));
      },
      deleteLogs: ({ keepSeconds, keepBytes }) => {
        asked.push(`logs ${keepSeconds} ${keepBytes}`);
        return Promise.resolve(3);
      },
      deleteAudit: ({ keepSeconds, keepEntries }) => {
        asked.push(`audit ${keepSeconds} ${keepEntries}`);
        return Promise.resolve(0);
      },
      deleteOrphans: () => {
        asked.push('orphans');
        return Promise.resolve(0);
      },
      archiveLogs: () => {
        asked.push('archive');
        return Promise.resolve(0);
      },
    },
    logger: {
      info: (fields, message) => told.push(`${message} ${JSON.stringify(fields)}`),
      warn: (_fields, message) => told.push(message),
    },
  });
  await vi.advanceTimersByTimeAsync(RETENTION_MS);
  expect(asked).toEqual(['builds 100', 'logs 10 1000', 'audit 50 2000', 'archive']);
  expect(told).toEqual(['not done: deleted old builds', 'deleted old logs {"count":3}']);
  await vi.advanceTimersByTimeAsync(RETENTION_MS);
  expect(asked).toHaveLength(8);
  await vi.advanceTimersByTimeAsync(RETENTION_MS * (ORPHANS_EVERY - 2));
  expect(asked.filter((each) => each === 'orphans')).toHaveLength(1);
  await retention.stop();
  const { length } = asked;
  await vi.advanceTimersByTimeAsync(10 * RETENTION_MS);
  expect(asked).toHaveLength(length);
});
