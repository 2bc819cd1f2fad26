import { setTimeout as wait } from 'node:timers/promises';
import { buildSchema, type BuildRequestBody } from '../src/contract/api.ts';
import { isFinal } from '../src/contract/phases.ts';
import type { Ground } from './ground.ts';

/** How long that may take, in milliseconds; what is left then is left. */
const TAKEN_WITHIN_MS = 120_000;
const LOOK_MS = 500;

/**
 * Has the executor of each manager start one more worker, for a build that ends before it pulls anything. What a killed worker left goes
 * with the next that takes its place, and when the last fault killed one, none may have come.
 */
export async function takePlaces({ managers, url }: Ground): Promise<void> {
  await Promise.all(managers.map(({ program }) => takePlace(url, program.id).catch(() => undefined)));
}

async function takePlace(url: string, manager: string): Promise<void> {
  const signal = AbortSignal.timeout(TAKEN_WITHIN_MS);
  const request: BuildRequestBody = { repository: 'places/none', worker_labels: [`manager=${manager}`] };
  const form = new FormData();
  form.append('request', JSON.stringify(request));
  form.append('package', new Blob(['FROM scratch\nNO INSTRUCTION\n']), 'package');
  const answer = await fetch(`${url}/api/v1/builds`, { method: 'POST', body: form, signal });
  const { id } = buildSchema.parse(await answer.json());
  for (;;) {
    const seen = await fetch(`${url}/api/v1/builds/${id}`, { signal });
    if (isFinal(buildSchema.parse(await seen.json()).state)) return;
    await wait(LOOK_MS, undefined, { signal });
  }
}
