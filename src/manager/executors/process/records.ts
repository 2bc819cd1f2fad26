import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bootId, type ProcessId } from './family.ts';

const recordSchema = z.object({
  pid: z.int().positive(),
  start: z.string(),
  boot: z.string(),
  /** Its place among the workers of its executor, from 0. */
  place: z.int().min(0),
});

/** A worker's process, as it is found again after a crash of the manager. */
export interface WorkerRecord {
  readonly id: string;
  readonly process: ProcessId;
  readonly place: number;
}

/** The records of an executor's workers: `ID.json` in its folder, and the worker's own log beside it, `ID.log`. */
export interface WorkerRecords {
  write(record: WorkerRecord): Promise<void>;
  find(id: string): Promise<WorkerRecord | null>;
  list(): Promise<readonly WorkerRecord[]>;
  logOf(id: string): string;
  /** Removes a worker's record and log; one that is not there is no error. */
  remove(id: string): Promise<void>;
}

const FILE = /^([A-Za-z0-9-]{1,64})\.json$/;

/** Opens, and makes, the folder of an executor's records. What a killed manager had only begun to write there is removed. */
export async function openRecords(directory: string): Promise<WorkerRecords> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = await readdir(directory);
  for (const name of names) {
    const [id = '', ...kind] = name.split('.');
    const isBegun = kind.join('.') === 'json.draft' || (kind[0] === 'log' && !names.includes(`${id}.json`));
    if (isBegun) await rm(join(directory, name), { force: true });
  }
  const boot = bootId();
  const path = (id: string, kind: 'json' | 'log'): string => join(directory, `${id}.${kind}`);

  const find = async (id: string): Promise<WorkerRecord | null> => {
    if (!FILE.test(`${id}.json`)) return null;
    const text = await readFile(path(id, 'json'), 'utf8').catch(() => null);
    if (text === null) return null;
    const { pid, start, place, ...record } = recordSchema.parse(JSON.parse(text));
    // No process of an earlier run of the machine is left: a start that no process has.
    return { id, process: { pid, start: record.boot === boot ? start : '' }, place };
  };

  return {
    find,
    async write({ id, process, place }) {
      const draft = `${path(id, 'json')}.draft`;
      await writeFile(draft, JSON.stringify({ ...process, boot, place }), { mode: 0o600 });
      await rename(draft, path(id, 'json'));
    },
    async list() {
      const ids = (await readdir(directory)).flatMap((name) => FILE.exec(name)?.[1] ?? []);
      const records = await Promise.all(ids.map(find));
      return records.filter((each) => each !== null);
    },
    logOf: (id) => path(id, 'log'),
    async remove(id) {
      if (!FILE.test(`${id}.json`)) return;
      // The log first: what has a record is looked at again.
      await rm(path(id, 'log'), { force: true });
      await rm(path(id, 'json'), { force: true });
    },
  };
}
