import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { PackageNotPending } from '../../src/store/index.ts';
import { claimNew, claimRequest, newBuild, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

describe('submitting', () => {
  test('keeps all that was said, and what PostgreSQL cannot keep becomes U+FFFD', async () => {
    await using store = await openTestStore(server);
    const parent = await store.builds.submit(newBuild());
    const { secrets: _secrets, ...build } = newBuild({
      spec: { context: 'a', dockerfile: 'NUL \0 and half a pair \ud800', nested: [{ value: 1 }] },
      tagNames: ['latest', 'v1'],
      requiredExtensions: ['registry-auth'],
      maxTries: 5,
      notBefore: new Date('2030-01-01T00:00:00Z'),
      priority: 7,
      parentId: parent.id,
      platform: 'linux/arm64',
    });
    await store.builds.submit({ ...build, secrets: null });
    expect(await store.builds.get(build.id)).toMatchObject({
      ...build,
      spec: { context: 'a', dockerfile: 'NUL \uFFFD and half a pair \uFFFD', nested: [{ value: 1 }] },
      state: 'waiting',
      phase: null,
      outputs: null,
      error: null,
      progress: null,
      startedAt: null,
      endedAt: null,
      tries: [],
    });
  });

  test('the same id again answers with the build that is there', async () => {
    await using store = await openTestStore(server);
    const build = newBuild();
    await store.builds.submit(build);
    const again = await store.builds.submit({ ...build, submittedBy: 'bob' });
    expect(again).toMatchObject({ id: build.id, submittedBy: 'alice' });
    expect((await store.builds.counts()).byState.waiting).toBe(1);
  });

  test('one key has one unfinished build, and another once it has ended', async () => {
    await using store = await openTestStore(server);
    const builds = await Promise.all(
      Array.from({ length: 8 }, () => store.builds.submit(newBuild({ dedupeKey: 'push 1' }))),
    );
    const first = builds[0]?.id ?? '';
    expect(new Set(builds.map(({ id }) => id))).toEqual(new Set([first]));
    await store.builds.cancel(first, 'alice');
    expect((await store.builds.submit(newBuild({ dedupeKey: 'push 1' }))).id).not.toBe(first);
  });

  test('a package belongs to one build, and without it there is no build', async () => {
    await using store = await openTestStore(server);
    const { id: packageId } = await store.packages.create({
      id: randomUUID(),
      size: 5_000_000_000,
      sha256: 'ab'.repeat(32),
      mediaType: 'application/gzip',
    });
    const build = await store.builds.submit(newBuild({ packageId }));
    expect(await store.packages.findOfBuild(build.id)).toMatchObject({
      id: packageId,
      buildId: build.id,
      size: 5_000_000_000,
    });
    const late = newBuild({ packageId });
    await expect(store.builds.submit(late)).rejects.toThrow(PackageNotPending);
    expect(await store.builds.get(late.id)).toBeNull();
  });
});

describe('reading', () => {
  test('an id that is none is no build', async () => {
    await using store = await openTestStore(server);
    for (const id of ['', 'x', '../etc', '\0', randomUUID()]) {
      expect(await store.builds.get(id)).toBeNull();
      expect(await store.builds.cancel(id, 'alice')).toBeNull();
      expect(await store.builds.steps(id)).toEqual([]);
    }
  });

  test('lists are newest first, page by page, and keep their place while builds are submitted', async () => {
    await using store = await openTestStore(server);
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) ids.unshift((await store.builds.submit(newBuild())).id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.builds.list({}, cursor === undefined ? { limit: 2 } : { limit: 2, cursor });
      seen.push(...page.builds.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
      await store.builds.submit(newBuild());
    } while (cursor !== undefined);
    expect(seen).toEqual(ids);
    expect(await store.builds.list({}, { limit: 2, cursor: 'bad' })).toEqual({
      builds: [],
      nextCursor: null,
    });
  });

  test('lists are found by how an id begins, among any number of builds, together with the other filters', async () => {
    await using store = await openTestStore(server);
    const first = '0f2a4c6e-1b3d-4f5a-8c7e-9d0b2f4a6c8e';
    const second = `${first.slice(0, 10)}a${first.slice(11)}`;
    const other = `1${first.slice(1)}`;
    for (const id of [first, second, other]) await store.builds.submit(newBuild({ id }));
    const ids = async (filter: Parameters<typeof store.builds.list>[0]): Promise<string[]> =>
      (await store.builds.list(filter, { limit: 10 })).builds.map(({ id }) => id);
    expect(await ids({ idPrefix: '0F2A4C6E' })).toEqual([second, first]);
    expect(await ids({ idPrefix: second.slice(0, 11) })).toEqual([second]);
    expect(await ids({ idPrefix: first })).toEqual([first]);
    expect(await ids({ idPrefix: first, state: 'running' })).toEqual([]);
    const { nextCursor } = await store.builds.list({ idPrefix: '0f2a' }, { limit: 1 });
    const page = await store.builds.list({ idPrefix: '0f2a' }, { limit: 1, cursor: nextCursor ?? '' });
    expect(page).toMatchObject({ builds: [{ id: first }], nextCursor: null });
    for (const idPrefix of ['0f2a-', `${first}0`, 'g'.repeat(36)])
      expect(await ids({ idPrefix })).toEqual([]);
  });

  test('lists are filtered by state, repository and namespace, and carry the tries', async () => {
    await using store = await openTestStore(server);
    const { build } = await claimNew(store);
    const other = await store.builds.submit(newBuild({ namespace: 'ops', repository: 'ops/db' }));
    const ids = async (filter: Parameters<typeof store.builds.list>[0]): Promise<string[]> =>
      (await store.builds.list(filter, { limit: 10 })).builds.map(({ id }) => id);
    expect(await ids({ state: 'running' })).toEqual([build.id]);
    expect(await ids({ repository: 'ops/db' })).toEqual([other.id]);
    expect(await ids({ namespace: 'team' })).toEqual([build.id]);
    expect(await ids({ namespace: 'team', state: 'waiting' })).toEqual([]);
    const { builds } = await store.builds.list({ state: 'running' }, { limit: 1 });
    expect(builds[0]?.tries).toMatchObject([{ number: 1, worker: 'worker-1', outcome: null }]);
    expect(JSON.stringify(builds)).not.toContain('oken');
  });

  test('counts are by state, with the age of the oldest that waits', async () => {
    await using store = await openTestStore(server);
    expect(await store.builds.counts()).toMatchObject({ oldestWaitingSeconds: null });
    await claimNew(store);
    await store.builds.submit(newBuild());
    await store.builds.submit(newBuild());
    const { byState, oldestWaitingSeconds } = await store.builds.counts();
    expect(byState).toMatchObject({ waiting: 2, running: 1, starting: 0, complete: 0 });
    expect(oldestWaitingSeconds).toBeGreaterThanOrEqual(0);
  });
});

describe('cancelling', () => {
  test('ends a waiting build, which nobody can claim then', async () => {
    await using store = await openTestStore(server);
    const { id } = await store.builds.submit(newBuild({ secrets: Buffer.from('sealed') }));
    expect(await store.builds.cancel(id, 'bob')).toEqual({ state: 'cancelled', cancelled: true });
    expect(await store.builds.get(id)).toMatchObject({ state: 'cancelled', cancelledBy: 'bob' });
    expect(await store.leases.claim(claimRequest())).toBeNull();
  });

  test('ends a running build: its try is over, and what it was given is revoked', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    const hash = Buffer.from('hash');
    await store.capabilities.grant(lease, { hash, scopes: ['push'], expiresInSeconds: 60 });
    await store.leases.beginStep(lease, { ordinal: 1, name: 'FROM scratch', total: 1 });
    await store.builds.cancel(build.id, 'bob');
    expect(await store.capabilities.find(hash)).toBeNull();
    expect(await store.builds.get(build.id)).toMatchObject({
      state: 'cancelled',
      phase: null,
      tries: [{ outcome: 'cancelled' }],
    });
    expect(await store.builds.steps(build.id)).toMatchObject([{ status: 'cancelled' }]);
    expect(await store.leases.finish(lease, { state: 'complete', outputs: {} })).toBe(false);
  });

  test('leaves an ended build as it is', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    await store.leases.finish(lease, { state: 'complete', outputs: { image_id: 'sha256:1' } });
    expect(await store.builds.cancel(build.id, 'bob')).toEqual({ state: 'complete', cancelled: false });
    expect(await store.builds.get(build.id)).toMatchObject({ state: 'complete', cancelledBy: null });
  });
});
