import type { EngineMessage } from '../../contract/log-messages.ts';
import type { Clock } from '../clock.ts';
import { PROGRESS_BYTES, PROGRESS_EVERY_MS, PROGRESS_LAYERS_MAX } from '../limits.ts';

interface Told {
  readonly status: string | undefined;
  readonly current: number;
  readonly time: number;
}

/**
 * Thins the progress of layers: a message passes when its layer's status changed, or when it moved on by enough bytes or for long
 * enough since the last one that passed (contract 0.3, "A build, as phases"). Messages without a layer pass.
 */
export function createProgressFilter(clock: Clock): (message: EngineMessage) => boolean {
  const layers = new Map<string, Told>();
  return ({ id, status, stream, progressDetail }) => {
    if (id === undefined || stream !== undefined) return true;
    const last = layers.get(id);
    const current = progressDetail?.current ?? 0;
    const time = clock.now();
    const passes =
      last?.status !== status ||
      last === undefined ||
      current - last.current >= PROGRESS_BYTES ||
      (current !== last.current && time - last.time >= PROGRESS_EVERY_MS);
    if (!passes) return false;
    layers.delete(id);
    layers.set(id, { status, current, time });
    if (layers.size > PROGRESS_LAYERS_MAX) layers.delete(layers.keys().next().value ?? '');
    return true;
  };
}
