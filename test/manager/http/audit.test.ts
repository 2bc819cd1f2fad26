import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { auditListSchema, buildSchema, type AuditEntry } from '../../../src/contract/api.ts';
import { loadApiTokens, newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { refusalOf, openTestHttp, type TestHttp } from '../support/http.ts';

let database: LabDatabaseServer;
let folder: string;
let http: TestHttp;
const ci = newApiToken('ci', ['read', 'write']);
const boss = newApiToken('boss', ['admin']);
beforeAll(async () => {
  database = await startDatabaseServer();
  folder = await mkdtemp(join(tmpdir(), 'audit-'));
  const file = join(folder, 'tokens.json');
  await writeFile(file, JSON.stringify([ci.entry, boss.entry]));
  http = await openTestHttp(database, { tokens: await loadApiTokens(file, () => undefined) });
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
  await rm(folder, { recursive: true });
});

const as = ({ token }: typeof ci): { authorization: string } => ({ authorization: `Bearer ${token}` });

async function list(query = ''): Promise<{ entries: AuditEntry[]; next_cursor: string | null }> {
  const answer = await http.app.inject({ url: `/api/v1/audit${query}`, headers: as(boss) });
  expect(answer.statusCode).toBe(200);
  return auditListSchema.parse(answer.json());
}

describe('the audit trail', () => {
  it('says who submitted and cancelled a build, and from where', async () => {
    const submitted = await http.app.inject({
      method: 'POST',
      url: '/api/v1/builds',
      headers: as(ci),
      remoteAddress: '192.0.2.7',
      payload: {
        repository: 'team/app',
        build_package: 'https://joe:hunter2@files.example/app.tgz?key=hunter3',
      },
    });
    const { id } = buildSchema.parse(submitted.json());
    await http.app.inject({
      method: 'POST',
      url: `/api/v1/builds/${id}/cancel`,
      headers: as(boss),
      remoteAddress: '192.0.2.8',
    });
    const page = await list(`?object=${id}`);
    expect(page).toMatchObject({
      entries: [
        { actor: 'boss', address: '192.0.2.8', action: 'build.cancel', object: id },
        { actor: 'ci', address: '192.0.2.7', action: 'build.submit', detail: { repository: 'team/app' } },
      ],
      next_cursor: null,
    });
    expect(JSON.stringify(page)).not.toContain('hunter');
  });

  it('is for who has the scope admin', async () => {
    const answer = await refusalOf(http, { method: 'GET', url: '/api/v1/audit', headers: as(ci) });
    expect(answer).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it('is read a page at a time, or whole, as lines', async () => {
    const actor = { name: 'pages', address: null };
    for (let count = 0; count < 5; count += 1) {
      await http.store.audit.record({ actor, action: 'worker.drain', object: `worker-${count}` });
    }
    const first = await list('?actor=pages&limit=2');
    expect(first.entries.map(({ object }) => object)).toEqual(['worker-4', 'worker-3']);
    const second = await list(`?actor=pages&limit=2&cursor=${first.next_cursor}`);
    expect(second.entries.map(({ object }) => object)).toEqual(['worker-2', 'worker-1']);
    const lines = async (query: string): Promise<unknown[]> => {
      const answer = await http.app.inject({
        url: `/api/v1/audit${query}`,
        headers: { ...as(boss), accept: 'application/x-ndjson' },
      });
      expect(answer.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
      return answer.body.split('\n').flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]));
    };
    expect(await lines('?actor=pages&action=worker')).toHaveLength(5);
    expect(await lines('?actor=pages&limit=3')).toMatchObject([{}, {}, { object: 'worker-2' }]);
    expect(await lines('?actor=nobody')).toEqual([]);
  });

  it('is found by time', async () => {
    expect((await list('?until=2020-01-01T00:00:00Z')).entries).toEqual([]);
    expect((await list('?since=2020-01-01T00:00:00%2B01:00&limit=1')).entries).toHaveLength(1);
  });

  it.each([
    ['?since=yesterday', 'since'],
    ['?limit=0', 'limit'],
    ['?actor=%00', 'actor'],
    ['?cursor=next', "next_cursor of this list's last answer"],
    ['?who=me', ''],
  ])('%s is refused by name', async (query, name) => {
    const { status, text } = await refusalOf(http, {
      method: 'GET',
      url: `/api/v1/audit${query}`,
      headers: as(boss),
    });
    expect(status).toBe(400);
    expect(text).toContain(name);
  });

  it('is not sent in other forms', async () => {
    const headers = { ...as(boss), accept: 'text/html' };
    expect(await refusalOf(http, { method: 'GET', url: '/api/v1/audit', headers })).toMatchObject({
      status: 406,
      code: 'not_acceptable',
    });
  });
});
