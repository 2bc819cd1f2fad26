import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { buildSchema } from '../../../src/contract/api.ts';
import { hashSecret } from '../../../src/manager/secrets/tokens.ts';
import { readExposition, valueOf } from '../metrics/exposition.ts';
import { buildParts, multipart, openTestHttp } from '../support/http.ts';

/** One line of the log, and one measurement, for each request. */

let database: LabDatabaseServer;
beforeAll(async () => {
  database = await startDatabaseServer();
});
afterAll(() => database.stop());

it('a download whose client leaves with the last byte, before its end was sent, is logged and counted', async () => {
  const content = Buffer.from('FROM scratch\n');
  await using http = await openTestHttp(database, {
    // The file's end comes never: only the client ends the connection.
    withBlobs: (blobs) => ({
      ...blobs,
      open: () => {
        const endless = new Readable({ read: () => undefined });
        endless.push(content);
        return Promise.resolve({ content: endless, size: content.length });
      },
    }),
  });
  const url = await http.app.listen({ host: '127.0.0.1', port: 0 });
  const submitted = await http.app.inject({
    method: 'POST',
    url: '/api/v1/builds',
    ...multipart(buildParts({ repository: 'team/app' }, content)),
  });
  const { id } = buildSchema.parse(submitted.json());
  const { lease } = await http.claim();
  const capability = { hash: hashSecret('a-secret-capability'), scopes: ['package'], expiresInSeconds: 60 };
  await http.store.capabilities.grant(lease, capability);

  const [answer] = (await once(get(`${url}/packages/a-secret-capability`), 'response')) as [IncomingMessage];
  const read = await new Promise<Buffer>((resolve, reject) => {
    answer.once('data', resolve).once('error', reject);
  });
  answer.destroy();
  expect(read.equals(content)).toBe(true);

  const linesOf = (path: string): unknown[] =>
    http
      .logged()
      .split('\n')
      .filter((text) => text.includes(`"path":"${path}`))
      .map((text) => JSON.parse(text) as unknown);
  await expect
    .poll(() => linesOf('/packages/'))
    .toEqual([
      expect.objectContaining({
        msg: 'request',
        path: '/packages/:capability',
        status: 200,
        build: id,
        try: 1,
      }),
    ]);
  expect(linesOf('/packages/')).toMatchObject([{ closed_early: true }]);
  await expect.poll(() => linesOf('/api/v1/builds')).toHaveLength(1);
  expect(linesOf('/api/v1/builds')[0]).not.toHaveProperty('closed_early');
  const samples = readExposition((await http.app.inject('/metrics')).body);
  const labels = { method: 'GET', route: '/packages/:capability', status: '200' };
  expect(valueOf(samples, 'quay_build_http_request_duration_seconds_count', labels)).toBe(1);
  expect(http.logged()).not.toContain('a-secret-capability');
});
