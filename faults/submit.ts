import { buildSchema, type BuildRequestBody } from '../src/contract/api.ts';
import type { Ground } from './ground.ts';
import type { Accepted } from './observations.ts';
import { dockerfileOf, type Order } from './schedule.ts';

/** How long a submit may take to be answered, in milliseconds. */
const ANSWER_WITHIN_MS = 15_000;

/** `refused`: nothing was taken. `doubtful`: nobody answered, so it may have been. */
export type Submitted = Accepted | 'refused' | 'doubtful';

/** Has the farm build something, through the balancer. */
export async function submit(
  { url, packages }: Pick<Ground, 'url' | 'packages'>,
  order: Order,
): Promise<Submitted> {
  const dockerfile = dockerfileOf(order);
  const request: BuildRequestBody = {
    repository: order.repository,
    tag_names: [order.name],
    ...(order.source === 'url' ? { build_package: packages.serve(order.name, dockerfile) } : {}),
  };
  try {
    const answer = await fetch(`${url}/api/v1/builds`, {
      method: 'POST',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...bodyOf(request, order.source === 'upload' ? dockerfile : null),
    });
    if (answer.status >= 500) {
      await answer.body?.cancel();
      return 'refused';
    }
    if (!answer.ok) throw new Error(`a submit was refused with ${answer.status}: ${await answer.text()}`);
    return { id: buildSchema.parse(await answer.json()).id, order };
  } catch (error) {
    if (error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError'))
      return 'doubtful';
    throw error;
  }
}

function bodyOf(request: BuildRequestBody, dockerfile: string | null): RequestInit {
  const json = JSON.stringify(request);
  if (dockerfile === null) return { headers: { 'content-type': 'application/json' }, body: json };
  const form = new FormData();
  form.append('request', json);
  form.append('package', new Blob([dockerfile]), 'package');
  return { body: form };
}
