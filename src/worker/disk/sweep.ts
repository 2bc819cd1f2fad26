import type { Logger } from 'pino';
import { reasonOf } from '../../contract/reason.ts';
import type { CacheRecord, EngineStorage, StoredImage, StoredLayer } from '../engine/storage.ts';
import { familiarName, type Holds } from './holds.ts';
import { planEviction, type CountedImage, type Eviction } from './policy.ts';
import type { EngineRecord } from './record.ts';
import { saysNoSpace } from './space.ts';

/** Keeps an engine within a budget: measures, decides, removes, and measures again. */

export interface SweepOptions {
  readonly storage: EngineStorage;
  readonly record: EngineRecord;
  readonly holds: Holds;
  /** Whether all that is on the engine is the worker's to remove, its cache too. */
  readonly engineIsOurs: boolean;
  /** The layers of images that were looked at before, by their ids. */
  readonly layers: Map<string, readonly StoredLayer[]>;
  readonly logger: Logger;
}

/** What counts against the budget. */
interface Measure {
  readonly stored: ReadonlyMap<string, StoredImage>;
  readonly images: readonly CountedImage[];
  readonly cache: readonly CacheRecord[];
}

export interface SweepResult {
  readonly usedBytes: number;
  readonly leftBytes: number;
}

/** What an image frees is known only once BuildKit lets go of its layers too, so that it takes some rounds. */
const ROUNDS_MAX = 10;

/** Evicts until the engine is within the budget, or nothing more may go. `budgetOf` answers with it in bytes, by what is used. */
export async function sweep(
  options: SweepOptions,
  budgetOf: (usedBytes: number) => number,
  signal: AbortSignal,
): Promise<SweepResult> {
  const stuck = new Set<string>();
  let began: number | null = null;
  let budget = Number.POSITIVE_INFINITY;
  let last = Number.POSITIVE_INFINITY;
  for (let round = 1; ; round += 1) {
    const measure = await measureEngine(options, stuck, signal, () =>
      cacheOrNothing(options.storage, signal),
    );
    const used = planEviction(measure.images, measure.cache, Number.POSITIVE_INFINITY).usedBytes;
    if (began === null) {
      began = used;
      budget = budgetOf(used);
    }
    const plan = planEviction(measure.images, measure.cache, budget);
    const isIdle = plan.images.length === 0 && plan.keepCacheBytes === null;
    const isInVain = plan.images.length === 0 && used >= last;
    if (isIdle || isInVain || round > ROUNDS_MAX) return { usedBytes: began, leftBytes: used };
    last = used;
    await evict(options, plan, measure.stored, stuck, signal);
  }
}

/** What counts against the budget now, in bytes. Removes nothing. */
export async function measureUse(
  options: Pick<SweepOptions, 'storage' | 'record' | 'engineIsOurs' | 'holds' | 'layers'>,
  signal: AbortSignal,
): Promise<number> {
  const { images, cache } = await measureEngine(options, new Set(), signal, () =>
    options.storage.buildCache(signal),
  );
  return planEviction(images, cache, Number.POSITIVE_INFINITY).usedBytes;
}

async function measureEngine(
  { storage, record, holds, engineIsOurs, layers }: Omit<SweepOptions, 'logger'>,
  stuck: ReadonlySet<string>,
  signal: AbortSignal,
  readCache: () => Promise<CacheRecord[]>,
): Promise<Measure> {
  const listed = await storage.images(signal);
  await readLayers(storage, listed, layers, signal);
  const stored = new Map(listed.map((image) => [image.id, image]));
  for (const id of layers.keys()) if (!stored.has(id)) layers.delete(id);
  const isOurs = (image: StoredImage): boolean =>
    engineIsOurs ||
    (record.images.get(image.id)?.ours === true &&
      image.tags.every((tag) => record.names.has(familiarName(tag))));
  const foreign = new Set(
    listed
      .filter((image) => !isOurs(image))
      .flatMap(({ id }) => (layers.get(id) ?? []).map(({ chain }) => chain)),
  );
  return {
    stored,
    images: listed.filter(isOurs).map((image) => ({
      id: image.id,
      layers: (layers.get(image.id) ?? []).filter(({ chain }) => !foreign.has(chain)),
      lastUsedAt: record.images.get(image.id)?.usedAt ?? image.createdAt,
      held: stuck.has(image.id) || holds.isHeld(referencesOf(image)),
    })),
    cache: engineIsOurs ? await readCache() : [],
  };
}

/** An engine without a byte of room cannot even measure its cache, and is asked to let go of it unmeasured. */
async function cacheOrNothing(storage: EngineStorage, signal: AbortSignal): Promise<CacheRecord[]> {
  try {
    return await storage.buildCache(signal);
  } catch (error) {
    if (!saysNoSpace(reasonOf(error))) throw error;
    await storage.pruneBuildCache(0, signal);
    return [];
  }
}

async function readLayers(
  storage: EngineStorage,
  images: readonly StoredImage[],
  layers: Map<string, readonly StoredLayer[]>,
  signal: AbortSignal,
): Promise<void> {
  for (const { id } of images) {
    if (layers.has(id)) continue;
    const found = await storage.layers(id, signal);
    if (found) layers.set(id, found);
  }
}

function referencesOf({ id, tags, digests }: StoredImage): string[] {
  return [id, ...tags, ...digests];
}

async function evict(
  options: SweepOptions,
  plan: Eviction,
  stored: ReadonlyMap<string, StoredImage>,
  stuck: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  for (const id of plan.images) {
    const image = stored.get(id);
    if (!image) continue;
    const references = referencesOf(image);
    const isGone = await options.holds.remove(references, () => removeImage(options, image, signal));
    if (!isGone) stuck.add(id);
    else options.logger.info({ image: id, names: image.tags }, 'evicted an image from the engine');
  }
  if (plan.keepCacheBytes !== null) await options.storage.pruneBuildCache(plan.keepCacheBytes, signal);
}

/** Removes an image by each of its names, unless somebody named it, or gave a name to another image, since it was listed. */
async function removeImage(
  { storage, record, engineIsOurs }: SweepOptions,
  image: StoredImage,
  signal: AbortSignal,
): Promise<boolean> {
  const now = (await storage.images(signal)).find(({ id }) => id === image.id);
  if (!now) return true;
  if (!engineIsOurs && !now.tags.every((tag) => record.names.has(familiarName(tag)))) return false;
  const names = now.tags.length > 0 ? now.tags : now.digests;
  for (const reference of names.length > 0 ? names : [image.id]) {
    if ((await storage.remove(reference, signal)) === 'in-use') return false;
    record.names.delete(familiarName(reference));
  }
  await record.save();
  return true;
}

/** Drops from the record what is no longer on the engine: whoever brings it back owns it. */
export async function forgetWhatIsGone(
  { storage, record, holds }: Pick<SweepOptions, 'storage' | 'record' | 'holds'>,
  signal: AbortSignal,
): Promise<void> {
  const listed = await storage.images(signal);
  const ids = new Set(listed.map(({ id }) => id));
  const tags = new Set(listed.flatMap((image) => image.tags.map(familiarName)));
  const images = [...record.images.keys()].filter((id) => !ids.has(id) && !holds.isHeld([id]));
  const names = [...record.names].filter((name) => !tags.has(name) && !holds.isHeld([name]));
  if (images.length + names.length === 0) return;
  for (const id of images) record.images.delete(id);
  for (const name of names) record.names.delete(name);
  await record.save();
}
