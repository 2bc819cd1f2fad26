import type { CacheRecord, StoredLayer } from '../engine/storage.ts';

/** What to evict, decided from figures alone. */

export interface CountedImage {
  readonly id: string;
  /** Only those that count: a layer that somebody else's image has too would stay, whatever is evicted. */
  readonly layers: readonly StoredLayer[];
  /** Milliseconds since 1970. */
  readonly lastUsedAt: number;
  /** A running build uses it, or it is not the worker's to remove. */
  readonly held: boolean;
}

export interface Eviction {
  /** What images and cache take now, and once this is done, in bytes. */
  readonly usedBytes: number;
  readonly leftBytes: number;
  /** Ids of the images to remove, the least recently used first. */
  readonly images: readonly string[];
  /** How much of BuildKit's cache may stay, in bytes; null to leave it alone. */
  readonly keepCacheBytes: number | null;
}

/** What images take on disk: a layer that several share counts once. */
export function bytesOf(images: readonly Pick<CountedImage, 'layers'>[]): number {
  const chains = new Map(images.flatMap(({ layers }) => layers.map(({ chain, bytes }) => [chain, bytes])));
  return [...chains.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Evicts the least recently used, images and BuildKit's records in one order, until the rest is within the budget or nothing is left
 * that may go. An image whose removal frees nothing in the end stays.
 */
export function planEviction(
  images: readonly CountedImage[],
  cache: readonly CacheRecord[],
  budget: number,
): Eviction {
  const users = countUsers(images);
  const cached = cache.reduce((sum, { bytes }) => sum + bytes, 0);
  const usedBytes = bytesOf(images) + cached;
  let left = usedBytes;
  let keepCache = cached;
  const removed: CountedImage[] = [];
  for (const each of inOrderOfUse(images, cache)) {
    if (left <= budget) break;
    if ('layers' in each) {
      left -= release(users, each);
      removed.push(each);
    } else {
      left -= each.bytes;
      keepCache -= each.bytes;
    }
  }
  const gone = removed.filter((image) => !image.layers.every(({ chain }) => (users.get(chain) ?? 0) > 0));
  return {
    usedBytes,
    leftBytes: left,
    images: gone.map(({ id }) => id),
    keepCacheBytes: keepCache < cached ? keepCache : null,
  };
}

/** What may go, the least recently used first. */
function inOrderOfUse(
  images: readonly CountedImage[],
  cache: readonly CacheRecord[],
): (CountedImage | CacheRecord)[] {
  return [
    ...images.filter(({ held }) => !held),
    ...cache.filter(({ inUse, bytes }) => !inUse && bytes > 0),
  ].sort((one, other) => one.lastUsedAt - other.lastUsedAt);
}

function countUsers(images: readonly CountedImage[]): Map<string, number> {
  const users = new Map<string, number>();
  for (const { layers } of images) {
    for (const { chain } of layers) users.set(chain, (users.get(chain) ?? 0) + 1);
  }
  return users;
}

/** Takes an image away, and answers with the bytes that nobody needs any more. */
function release(users: Map<string, number>, { layers }: CountedImage): number {
  let freed = 0;
  for (const { chain, bytes } of layers) {
    const others = (users.get(chain) ?? 1) - 1;
    users.set(chain, others);
    if (others === 0) freed += bytes;
  }
  return freed;
}
