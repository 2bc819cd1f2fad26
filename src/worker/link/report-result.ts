import type { Logger } from 'pino';
import { managerProcedures } from '../../contract/uris.ts';
import { reasonOf } from '../../contract/reason.ts';
import { type Clock, sleep } from '../clock.ts';
import { RESULT_RETRY_MS, RESULT_TRIES } from '../limits.ts';
import type { ResumableLink } from './build-link.ts';
import { type Answer, CallError, LinkError } from './session.ts';

/** Extension `resume`: tells the manager how the build ended until it is stored, over as many connections as that takes. */
export async function reportResult(
  link: ResumableLink,
  { error, kwargs }: Answer,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  const report = error === undefined ? { result: kwargs } : { error, ...kwargs };
  for (let tries = 1; ; tries += 1) {
    try {
      const isStored = await link.call(managerProcedures.result, report);
      if (isStored !== true) logger.warn('the manager had ended this try already');
      link.finish();
      return;
    } catch (caught) {
      if (!(caught instanceof CallError) || tries >= RESULT_TRIES) {
        logger.warn({ reason: reasonOf(caught) }, 'the manager could not be told how the build ended');
        link.end(new LinkError('the manager could not be told how the build ended'));
        return;
      }
      await sleep(clock, RESULT_RETRY_MS * tries);
    }
  }
}
