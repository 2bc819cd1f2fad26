import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';

/**
 * What a worker knows of the images on its engine, kept in a file from one start to the next, also over a `kill -9`. Times in
 * milliseconds since 1970.
 */
export interface EngineRecord {
  /** By the image's id. */
  readonly images: Map<string, ImageRecord>;
  /** The names that the worker made: those that were on the engine before are not among them. */
  readonly names: Set<string>;
  /** What is to be removed once the engine answers: names, and containers of steps. */
  readonly doomedNames: Set<string>;
  readonly doomedContainers: Set<string>;
  /** Writes it down. Throws what the file system says. */
  save(): Promise<void>;
}

interface ImageRecord {
  usedAt: number;
  /** Whether it came to the engine by this worker. */
  ours: boolean;
}

const fileSchema = z.object({
  /** The engine that it is about; another one may have the same images from others. */
  engine: z.string(),
  images: z.record(z.string(), z.object({ usedAt: z.number(), ours: z.boolean() })),
  names: z.array(z.string()),
  doomedNames: z.array(z.string()),
  doomedContainers: z.array(z.string()),
});

/**
 * Reads the record of this engine; an empty one where there is none, or it cannot be read, which `onLoss` is told: then nothing on
 * the engine counts as the worker's.
 */
export async function openRecord(
  path: string,
  engine: string,
  onLoss: (reason: string) => void,
): Promise<EngineRecord> {
  const stored = await readRecord(path, engine, onLoss);
  const images = new Map(Object.entries(stored?.images ?? {}));
  const names = new Set(stored?.names);
  const doomedNames = new Set(stored?.doomedNames);
  const doomedContainers = new Set(stored?.doomedContainers);
  let writing: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    const content = {
      engine,
      images: Object.fromEntries(images),
      names: [...names],
      doomedNames: [...doomedNames],
      doomedContainers: [...doomedContainers],
    };
    const draft = `${path}.draft`;
    await writeFile(draft, JSON.stringify(content), { mode: 0o600 });
    await rename(draft, path);
  };
  return {
    images,
    names,
    doomedNames,
    doomedContainers,
    save: () => {
      writing = writing.catch(() => undefined).then(write);
      return writing;
    },
  };
}

async function readRecord(
  path: string,
  engine: string,
  onLoss: (reason: string) => void,
): Promise<z.infer<typeof fileSchema> | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const stored = fileSchema.parse(JSON.parse(text));
    return stored.engine === engine ? stored : null;
  } catch {
    onLoss(`${path} cannot be read`);
    return null;
  }
}
