import { showBytes } from '../disk/budget.ts';
import type { EngineDescription } from '../engine/engine.ts';
import { readStepLogLimits } from '../engine/step-log.ts';
import type { EngineFacts } from '../engine/storage.ts';
import { good, warning, type Finding } from './finding.ts';

/** What an engine lacks that answers, and what to do about it. */
export async function* examineAbilities(
  { builder }: Pick<EngineDescription, 'builder'>,
  facts: EngineFacts,
  dockerHost: string,
): AsyncGenerator<Finding> {
  yield examineLimits(builder, facts);
  if (builder === 'buildkit') yield await examineStepLog(dockerHost, facts.version);
}

function examineLimits(
  builder: EngineDescription['builder'],
  { boundsMemory, boundsCpu }: EngineFacts,
): Finding {
  if (builder === 'buildkit') {
    return warning(
      'engine: its BuildKit bounds neither the memory nor the processor time of a build',
      'where builds are not trusted bound the engine itself, as with MemoryMax= and CPUQuota= of its systemd unit, or set BUILDER=classic',
    );
  }
  const missing = [...(boundsMemory ? [] : ['memory']), ...(boundsCpu ? [] : ['processor time'])];
  if (missing.length === 0) return good("engine: it can bound a build's memory and processor time");
  return warning(
    `engine: it cannot bound a build's ${missing.join(' and ')}`,
    'its kernel lacks the control groups for it: switch them on, or bound the machine that the engine runs on',
  );
}

/** More than any step prints that somebody reads; a larger limit counts as none. */
const PLENTY_BYTES = 64 * 1024 ** 2;
const PLENTY_BYTES_A_SECOND = 8 * 1024 ** 2;

async function examineStepLog(dockerHost: string, version: string): Promise<Finding> {
  const limits = await readStepLogLimits(dockerHost, version);
  const how =
    'BUILDKIT_STEP_LOG_MAX_SIZE and BUILDKIT_STEP_LOG_MAX_SPEED in its environment raise the limits; Docker 20.10 falls silent when a step prints more than 1 MiB at once, so that long logs want a newer engine';
  if (limits === null) {
    return good(
      'engine: whether it clips what steps print cannot be seen from here',
      `by default it does, at 2 MiB of a step: ${how}`,
    );
  }
  const size = limits.size ?? Number.POSITIVE_INFINITY;
  const speed = limits.speed ?? Number.POSITIVE_INFINITY;
  if (size >= PLENTY_BYTES && speed >= PLENTY_BYTES_A_SECOND) {
    return good('engine: it does not clip what steps print');
  }
  const bounds = [
    ...(limits.size === null ? [] : [`${showBytes(limits.size)} of a step`]),
    ...(limits.speed === null ? [] : [`${showBytes(limits.speed)} a second`]),
  ];
  return warning(`engine: it clips what steps print at ${bounds.join(' and ')}`, how);
}
