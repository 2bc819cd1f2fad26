import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { metricCatalogue, type MetricSpec } from '../../../src/manager/metrics/catalogue.ts';
import { openTestHttp } from '../support/http.ts';
import { describedMetrics, readExposition, valueOf } from './exposition.ts';

const specs = Object.values<MetricSpec>(metricCatalogue);

let database: LabDatabaseServer;
beforeAll(async () => {
  database = await startDatabaseServer();
});
afterAll(() => database.stop());

describe('the metrics of a manager', () => {
  it('are those of the catalogue, and of Node', async () => {
    await using http = await openTestHttp(database);
    const { body } = await http.app.inject('/metrics');
    const described = describedMetrics(body);
    expect(described.filter((name) => name.startsWith('quay_')).sort()).toEqual(
      specs.map(({ name }) => name).sort(),
    );
    expect(described).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(valueOf(readExposition(body), 'quay_build_database_up')).toBe(1);
  });

  it('say that the database is away, and nothing of a farm that nobody knows', async () => {
    const own = await startDatabaseServer();
    await using http = await openTestHttp(database, { databaseUrl: (await own.createDatabase()).url });
    await own.stop();
    await expect
      .poll(async () => (await http.app.inject('/metrics')).body)
      .toContain('quay_build_database_up 0');
    const samples = readExposition((await http.app.inject('/metrics')).body);
    expect(samples.filter(({ name }) => name === 'quay_build_lease_overdue_seconds')).toEqual([]);
    expect(samples.filter(({ name }) => name === 'quay_build_builds')).toEqual([]);
  });
});

describe('the catalogue', () => {
  it.each(specs)('$name is named as Prometheus has it', ({ type, name, help, buckets }) => {
    expect(name).toMatch(/^quay_build_[a-z_]+[a-z]$/);
    expect(name.endsWith('_total')).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    expect(buckets === undefined).toBe(type !== 'histogram');
    expect(help).toMatch(/\.$/);
  });

  it('has each name once', () => {
    expect(new Set(specs.map(({ name }) => name)).size).toBe(specs.length);
  });

  it('has every metric that the examples ask for', async () => {
    const rules = await readFile(new URL('../../../examples/prometheus/alerts.yml', import.meta.url), 'utf8');
    const asked = [...rules.matchAll(/\bquay_build_\w+/g)].map(([name]) =>
      name.replace(/_(?:bucket|sum|count)$/, ''),
    );
    expect(asked.length).toBeGreaterThan(0);
    const known = specs.map(({ name }) => name);
    for (const name of asked) expect(known).toContain(name);
  });
});
