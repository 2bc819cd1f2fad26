import { readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { clearLeftovers } from '../../src/worker/builder.ts';
import { createForsakenTries } from '../../src/worker/link/enlisting.ts';
import { openWorkDirectory } from '../../src/worker/work-directory.ts';
import { calmEngine, endlessEngine, fastClock, someBuild, startWorker } from './harness.ts';
import { isReady, LOG_BATCH, startTestManager, type Behaviour, type Worker } from './test-manager.ts';

/** What a worker does that loses its manager during a build, as its manager sees it (extension `resume`). */

const RESULT = 'io.quay.builder.result';
const FORSAKE = 'io.quay.builder.forsake';
const lease = {
  build: '00000000-0000-4000-8000-000000000000',
  try: 1,
  token: 'LEASE-TOKEN-0123456789',
  grace_seconds: 60,
};
const build = { ...someBuild, lease };
const shown = { build: lease.build, try: 1, lease_token: lease.token };
const extensions = ['log-batch', 'cancel', 'resume'];

interface Extra {
  readonly resume?: { readonly last_seq: number };
}

/** Takes whoever comes; one that comes back is answered so, or as the test says. */
function manager(
  onResume: (resume: NonNullable<Extra['resume']>) => ReturnType<NonNullable<Behaviour['onHello']>>,
  onCall?: Behaviour['onCall'],
): Behaviour {
  return {
    extensions,
    onHello: (_realm, worker) => {
      const { authextra } = (worker.frames.at(-1)?.[2] ?? {}) as { authextra?: Extra };
      return authextra?.resume ? onResume(authextra.resume) : undefined;
    },
    onCall: (uri, kwargs, worker) =>
      onCall?.(uri, kwargs, worker) ?? (uri === RESULT || uri === FORSAKE ? true : undefined),
  };
}

const welcomeBack = (lastSeq: number): readonly unknown[] => [
  2,
  4711,
  { roles: { broker: {}, dealer: {} }, authextra: { extensions, resume: { last_seq: lastSeq } } },
];

async function begin(test: Awaited<ReturnType<typeof startTestManager>>): Promise<Worker> {
  const connection = await test.connection();
  await connection.frame(isReady);
  connection.build(build).catch(() => undefined);
  return connection;
}

it('goes on, comes back into its realm, sends what follows, and tells the result', async () => {
  const begun = Promise.withResolvers<(text: string) => void>();
  const finish = Promise.withResolvers<{ imageId: string }>();
  const engine = calmEngine({
    build: (_build, { onMessage }) => {
      begun.resolve((stream) => void onMessage({ stream }));
      return finish.promise;
    },
  });
  let stored = 0;
  const shownBack: unknown[] = [];
  await using test = await startTestManager(
    manager(
      (resume) => {
        shownBack.push(resume);
        return welcomeBack(stored);
      },
      (uri, kwargs) => {
        if (uri === LOG_BATCH) {
          const { sequence, messages } = kwargs as { sequence: number; messages: unknown[] };
          stored = Math.max(stored, sequence + messages.length - 1);
        }
        return undefined;
      },
    ),
  );
  await using worker = await startWorker({ manager: test, engine });
  const first = await begin(test);
  const say = await begun.promise;
  first.socket.terminate();
  await worker.logged('the connection was lost during a build');
  say('while nobody listened\n');
  finish.resolve({ imageId: 'sha256:late' });

  const second = await test.connection();
  await second.frame(([type, , , uri]) => type === 48 && uri === RESULT);
  expect(shownBack).toEqual([{ ...shown, last_seq: expect.any(Number) as number }]);
  expect(second.frames[0]?.[1]).toBe(
    first.frames.find(([type, realm]) => type === 1 && realm !== 'registration')?.[1],
  );
  const batches = second.calls(LOG_BATCH) as unknown as { messages: { json_data: string }[] }[];
  const said = batches.flatMap(({ messages }) => messages).map(({ json_data }) => json_data);
  expect(said.filter((data) => data.includes('while nobody listened'))).toHaveLength(1);
  expect(second.calls(RESULT)).toMatchObject([{ result: { image_id: 'sha256:late' } }]);
  // It registers anew for the next build, and nothing is left of this one.
  await (await test.connection()).frame(isReady);
  expect(await readdir(worker.workDirectory)).toEqual(['key']);
  expect(worker.log()).not.toContain(lease.token);
});

it.each([
  ['was cancelled', 'io.quay.builder.resume.cancelled', 'clientrejectedtransition'],
  ['has ended', 'io.quay.builder.resume.ended', 'internalerror'],
  ['is not known', 'io.quay.builder.resume.unknown', 'internalerror'],
  ['was in a realm that is gone', 'wamp.error.no_such_realm', 'internalerror'],
])('stops the build, cleans up and registers anew when its try %s', async (_what, uri, code) => {
  const { engine, begun, stopped } = endlessEngine();
  await using test = await startTestManager(manager(() => [3, { message: 'no' }, uri]));
  await using worker = await startWorker({ manager: test, engine });
  const first = await begin(test);
  await begun;
  first.socket.terminate();
  await test.connection();
  expect(await stopped).toMatchObject({ code });
  await (await test.connection()).frame(isReady);
  expect(await readdir(worker.workDirectory)).toEqual(['key']);
});

it('stops the build when a manager is there that knows nothing of resuming', async () => {
  const { engine, begun, stopped } = endlessEngine();
  await using test = await startTestManager(manager(() => [2, 4711, { roles: { broker: {}, dealer: {} } }]));
  await using _worker = await startWorker({ manager: test, engine });
  const first = await begin(test);
  await begun;
  first.socket.terminate();
  await test.connection();
  await stopped;
  await (await test.connection()).frame(isReady);
});

it('tries again when it is refused for a while, gives up after the grace, and tells the manager so', async () => {
  const { engine, begun, stopped } = endlessEngine();
  await using test = await startTestManager(
    manager(() => [3, { message: 'try again later' }, 'wamp.error.authorization_failed']),
  );
  await using worker = await startWorker({ manager: test, engine });
  const first = await begin(test);
  await begun;
  first.socket.terminate();
  await test.connection();
  await test.connection();
  await stopped;
  let next: Worker;
  do next = await test.connection();
  while (
    await next.frame(isReady).then(
      () => false,
      () => true,
    )
  );
  expect(next.calls(FORSAKE)).toEqual([shown]);
  expect(await readdir(worker.workDirectory)).toEqual(['key']);
});

it('told to leave now while its manager is away, it keeps what the next start needs to give the build up', async () => {
  const { engine, begun, stopped } = endlessEngine();
  await using test = await startTestManager(manager(() => [3, { message: 'no' }, 'wamp.error.unavailable']));
  await using worker = await startWorker({ manager: test, engine });
  const first = await begin(test);
  await begun;
  worker.leave();
  first.socket.terminate();
  await worker.logged('the connection was lost during a build');
  worker.interrupt();
  expect(await stopped).toMatchObject({ code: 'internalerror' });
  expect(await worker.ended).toBe('interrupted');
  const [folder = ''] = (await readdir(worker.workDirectory)).filter((name) => name !== 'key');
  expect((await readdir(join(worker.workDirectory, folder))).sort()).toEqual(['lease', 'owner']);
  // Its owner is this process, which lives on: as it would be after the worker's end.
  await writeFile(join(worker.workDirectory, folder, 'owner'), '');
  const workDirectory = await openWorkDirectory(dirname(worker.workDirectory), 'test');
  const forsaken = createForsakenTries();
  const logger = pino({ level: 'silent' });
  await clearLeftovers({ engine: calmEngine(), workDirectory, forsaken, clock: fastClock, logger });
  expect(forsaken.take()).toEqual([shown]);
  expect(await readdir(worker.workDirectory)).toEqual(['key']);
});

it('is interrupted, and has not just left, when it loses a deployed manager while it waits to leave', async () => {
  const { engine, begun } = endlessEngine();
  await using test = await startTestManager();
  await using worker = await startWorker({ manager: test, engine });
  const connection = await test.connection();
  await connection.frame(isReady);
  connection.build(someBuild).catch(() => undefined);
  await begun;
  worker.leave();
  connection.socket.terminate();
  expect(await worker.ended).toBe('interrupted');
});
