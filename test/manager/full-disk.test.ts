import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { startBareWorker, type BareWorker } from '../../lab/bare-worker.ts';
import { startFarm } from '../../lab/farm.ts';
import { mountSmallDisk } from '../../lab/small-disk.ts';
import { problemSchema } from '../../src/contract/api.ts';
import { ended, logOf, submit } from '../e2e/support.ts';

const DISK_BYTES = 200 * 1024 ** 2;
const BUILD = { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar' };
/** More than waits in memory. */
const LINES = 40;
const LINE_BYTES = 20_000;

async function submitUntilRefused(url: string): Promise<Response> {
  for (;;) {
    const build_args = { FILLER: randomBytes(15_000).toString('hex') };
    const answer = await fetch(`${url}/api/v1/builds`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...BUILD, build_args }),
    });
    if (!answer.ok) return answer;
  }
}

it('a build that prints while the disk of its manager is full waits for room, and loses no line', async () => {
  await using disk = await mountSmallDisk(DISK_BYTES);
  await using farm = await startFarm({ directory: disk.path, registryAuth: 'open' });
  const given = Promise.withResolvers<BareWorker>();
  const finished = Promise.withResolvers<{ result: Record<string, unknown> }>();
  await using _worker = await startBareWorker({
    url: farm.wampUrl,
    onBuild: (_kwargs, worker) => {
      given.resolve(worker);
      return finished.promise;
    },
  });
  const { id } = await submit(farm, BUILD);
  const worker = await given.promise;
  await disk.fill();
  const answers = Array.from({ length: LINES }, (_, index) =>
    worker.log('building', { stream: `line ${index} ${randomBytes(LINE_BYTES).toString('hex')}\n` }),
  );
  await farm.manager.printed(/disk of .+ is full/);
  // What is small may find room in a page that is there already.
  const refused = await submitUntilRefused(farm.url);
  expect(refused.status).toBe(503);
  // Its PostgreSQL may have ended, for lack of room.
  expect(['store_full', 'store_unavailable']).toContain(problemSchema.parse(await refused.json()).code);

  await disk.free();
  expect(await Promise.all(answers)).toEqual(Array(LINES).fill(true));
  finished.resolve({ result: { image_id: 'sha256:0', digests: [] } });
  expect(await ended(farm, id)).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
  const numbers = Array.from((await logOf(farm, id)).matchAll(/^line (\d+) /gm), ([, number]) =>
    Number(number),
  );
  expect(numbers).toEqual([...Array(LINES).keys()]);
});
