import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { reasonOf } from '../contract/reason.ts';
import type { Clock } from './clock.ts';
import { HEALTH_EVERY_MS, HEALTH_STALE_MS } from './limits.ts';
import { processIdentity } from './work-directory.ts';

/**
 * What a worker says of itself, for `quay-builder health` beside it: `WORK_DIR/WORKER_ID/health`, written when something changes and
 * every few seconds, so that a worker that hangs is told from one that waits.
 */

const healthSchema = z.object({
  /** The process that wrote it. */
  owner: z.string(),
  /** When, in seconds since the machine started: nobody sets that clock. */
  at: z.number(),
  slots: z.array(
    z.object({
      /** Why the slot takes no build now; null when it does. */
      reason: z.string().nullable(),
      busy: z.boolean(),
    }),
  ),
});
type HealthRecord = z.infer<typeof healthSchema>;

export interface HealthKeeper {
  /** Notes why a slot takes no builds now, or, by null, that it does. */
  tell(slot: number, reason: string | null): void;
  /** Says no more; the file goes. */
  close(): Promise<void>;
}

export interface HealthKeeperOptions {
  /** The worker's own folder. */
  readonly directory: string;
  /** The builders of the slots. */
  readonly builders: readonly { readonly busy: boolean }[];
  /** Hides secrets. */
  readonly mask: (text: string) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Begins to say how the worker is. A file that cannot be written is said once, and then tried in silence. */
export function keepHealth({ directory, builders, mask, clock, logger }: HealthKeeperOptions): HealthKeeper {
  const path = join(directory, 'health');
  const reasons: (string | null)[] = builders.map(() => 'the worker is starting');
  const owner = processIdentity(process.pid);
  let callOff = (): void => undefined;
  let isOver = false;
  let hasFailed = false;
  let last = Promise.resolve();

  const write = async (): Promise<void> => {
    const slots = builders.map(({ busy }, slot) => ({ reason: reasons[slot] ?? null, busy }));
    const record: HealthRecord = { owner: await owner, at: uptime(), slots };
    try {
      await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (error) {
      if (!hasFailed)
        logger.warn({ reason: reasonOf(error) }, 'the health of the worker could not be written');
      hasFailed = true;
    }
  };
  const beat = (): void => {
    callOff();
    if (isOver) return;
    last = last.then(write);
    callOff = clock.after(HEALTH_EVERY_MS, beat);
  };
  beat();
  return {
    tell: (slot, reason) => {
      reasons[slot] = reason === null ? null : mask(reason);
      beat();
    },
    close: async () => {
      isOver = true;
      callOff();
      await last;
      await rm(path, { force: true });
    },
  };
}

/** How the worker of a folder is, by its own word. */
export interface Health {
  /** Its process runs, and does not hang. */
  readonly isAlive: boolean;
  /** It takes builds, or builds. */
  readonly isReady: boolean;
  /** The same for people. */
  readonly words: string;
}

/** Reads how the worker is whose own folder this is. Never throws. */
export async function readHealth(directory: string): Promise<Health> {
  const record = await readRecord(join(directory, 'health'));
  const lives =
    record !== null && record.owner === (await processIdentity(Number.parseInt(record.owner, 10)));
  if (!lives) {
    return { isAlive: false, isReady: false, words: `no worker runs in ${directory}` };
  }
  const age = Math.round(uptime() - record.at);
  if (age * 1000 > HEALTH_STALE_MS) {
    return { isAlive: false, isReady: false, words: `the worker hangs: it has said nothing for ${age} s` };
  }
  const building = record.slots.filter(({ busy }) => busy).length;
  const ready = record.slots.filter(({ busy, reason }) => !busy && reason === null).length;
  const away = record.slots.length - building - ready;
  const [why = ''] = record.slots.flatMap(({ busy, reason }) => (busy || reason === null ? [] : [reason]));
  const parts = [
    ...(building > 0 ? [`${building} building`] : []),
    ...(ready > 0 ? [`${ready} ready`] : []),
    ...(away > 0 ? [`${away} not ready: ${why}`] : []),
  ];
  return { isAlive: true, isReady: building + ready > 0, words: parts.join(', ') };
}

async function readRecord(path: string): Promise<HealthRecord | null> {
  try {
    return healthSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}
