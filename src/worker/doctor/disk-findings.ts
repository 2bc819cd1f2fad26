import { join } from 'node:path';
import { reasonOf } from '../../contract/reason.ts';
import { budgetBytes, showBytes, type DiskBudget } from '../disk/budget.ts';
import { RECORD_FILE } from '../disk/disk.ts';
import { createHolds } from '../disk/holds.ts';
import { openRecord } from '../disk/record.ts';
import { engineFileSystem, type FileSystem } from '../disk/space.ts';
import { measureUse } from '../disk/sweep.ts';
import type { EngineFacts, EngineStorage } from '../engine/storage.ts';
import { DISK_LEAST_FREE_BYTES, DOCTOR_DISK_BYTES, DOCTOR_MEASURE_WITHIN_MS } from '../limits.ts';
import { bad, good, warning, type Finding } from './finding.ts';

export interface DiskToExamine {
  readonly storage: EngineStorage;
  readonly facts: EngineFacts;
  readonly dockerHost: string;
  /** The worker's own folder. */
  readonly directory: string;
  readonly budget: DiskBudget;
  readonly engineIsOurs: boolean;
}

/** Looks at the engine's disk, and at how far the budget of it is used. Changes nothing. */
export async function* examineEngineDisk(options: DiskToExamine): AsyncGenerator<Finding> {
  const { facts, dockerHost } = options;
  const fileSystem = await engineFileSystem(dockerHost, facts.dataRoot);
  if (fileSystem !== null) yield examineFree(fileSystem, facts.dataRoot);
  yield await examineBudget(options, fileSystem);
}

function examineFree({ freeBytes }: FileSystem, dataRoot: string): Finding {
  const what = `engine's disk: ${showBytes(freeBytes)} are free at ${dataRoot}`;
  if (freeBytes >= DOCTOR_DISK_BYTES) return good(what);
  const advice = 'images and layers lie there: free some, or lower DISK_BUDGET';
  return freeBytes >= DISK_LEAST_FREE_BYTES ? warning(what, advice) : bad(what, advice);
}

async function examineBudget(options: DiskToExamine, fileSystem: FileSystem | null): Promise<Finding> {
  const { budget, facts } = options;
  if (budget === 'none') {
    return warning(
      'disk budget: none, so that what builds leave on the engine stays',
      'set DISK_BUDGET, unless something else keeps the engine tidy',
    );
  }
  try {
    const used = await useOf(options);
    const bytes = budgetBytes(budget, fileSystem === null ? null : used + fileSystem.freeBytes);
    if (bytes !== null) return judge(used, bytes, options.engineIsOurs, fileSystem);
    return warning(
      `disk budget: a share of ${facts.dataRoot}, which cannot be seen from here, so that nothing is removed`,
      'set DISK_BUDGET in bytes, as 200G',
    );
  } catch (error) {
    return warning(
      `disk budget: the engine could not be measured: ${reasonOf(error)}`,
      'see whether the engine is busy, and try again',
    );
  }
}

async function useOf({ storage, facts, directory, engineIsOurs }: DiskToExamine): Promise<number> {
  const record = await openRecord(join(directory, RECORD_FILE), facts.identity, () => undefined);
  return measureUse(
    { storage, record, engineIsOurs, holds: createHolds(), layers: new Map() },
    AbortSignal.timeout(DOCTOR_MEASURE_WITHIN_MS),
  );
}

function judge(used: number, budget: number, engineIsOurs: boolean, fileSystem: FileSystem | null): Finding {
  const whose = engineIsOurs ? 'the engine takes' : 'what this worker brought takes';
  const what = `disk budget: ${whose} ${showBytes(used)} of ${showBytes(budget)}`;
  if (fileSystem !== null && budget > used + fileSystem.freeBytes) {
    const room = showBytes(used + fileSystem.freeBytes);
    return warning(
      what,
      `the disk is full before: there is room for ${room}; lower DISK_BUDGET, or free some`,
    );
  }
  if (used <= budget) return good(what);
  return warning(what, 'the worker removes what it may after its next build; what is in use has to stay');
}
