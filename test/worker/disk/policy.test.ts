import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CacheRecord } from '../../../src/worker/engine/storage.ts';
import { bytesOf, planEviction, type CountedImage } from '../../../src/worker/disk/policy.ts';

/** Images as they are: each a chain of layers, which others may share from the lowest up. */
const image = (
  id: string,
  lastUsedAt: number,
  layers: Record<string, number>,
  held = false,
): CountedImage => ({
  id,
  lastUsedAt,
  held,
  layers: Object.entries(layers).map(([chain, bytes]) => ({ chain, bytes })),
});
const cached = (bytes: number, lastUsedAt: number, inUse = false): CacheRecord => ({
  bytes,
  lastUsedAt,
  inUse,
});

describe('what is evicted', () => {
  it('is nothing within the budget', () => {
    expect(planEviction([image('a', 1, { x: 60 })], [cached(40, 1)], 100)).toEqual({
      usedBytes: 100,
      leftBytes: 100,
      images: [],
      keepCacheBytes: null,
    });
  });

  it('is the least recently used, and no more than needed', () => {
    const images = [image('new', 3, { n: 50 }), image('old', 1, { o: 50 }), image('middle', 2, { m: 50 })];
    expect(planEviction(images, [], 100)).toMatchObject({ images: ['old'], leftBytes: 100 });
    expect(planEviction(images, [], 99)).toMatchObject({ images: ['old', 'middle'], leftBytes: 50 });
  });

  it('is never what a running build uses, though the budget cannot be met then', () => {
    const images = [image('used', 1, { u: 50 }, true), image('other', 2, { o: 50 })];
    expect(planEviction(images, [cached(10, 0, true)], 20)).toMatchObject({
      images: ['other'],
      leftBytes: 60,
      keepCacheBytes: null,
    });
  });

  it('is all images of the same layers, or none of them', () => {
    const twice = [image('first', 1, { x: 50 }), image('second', 2, { x: 50 }), image('third', 3, { y: 50 })];
    expect(planEviction(twice, [], 50)).toMatchObject({ images: ['first', 'second'], leftBytes: 50 });
  });

  it('is not an image that others are built on: that would free nothing', () => {
    const images = [
      image('base', 1, { b: 90 }),
      image('old', 2, { o: 20 }),
      image('app', 3, { b: 90, a: 5 }),
    ];
    expect(planEviction(images, [], 100)).toMatchObject({ images: ['old'], leftBytes: 95 });
  });

  it('is the cache of BuildKit in its turn', () => {
    const images = [image('old', 1, { o: 50 }), image('new', 9, { n: 50 })];
    const cache = [cached(30, 8), cached(20, 5)];
    expect(planEviction(images, cache, 100)).toMatchObject({ images: ['old'], keepCacheBytes: null });
    expect(planEviction(images, cache, 80)).toMatchObject({ images: ['old'], keepCacheBytes: 30 });
    expect(planEviction(images, cache, 50)).toMatchObject({ images: ['old'], keepCacheBytes: 0 });
  });

  const anyImages = fc
    .uniqueArray(
      fc.record({
        path: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 4 }),
        lastUsedAt: fc.integer({ min: 0, max: 20 }),
        held: fc.boolean(),
      }),
      { maxLength: 12, selector: ({ path, lastUsedAt }) => `${path.join()} ${lastUsedAt}` },
    )
    .map((all) =>
      all.map(({ path, lastUsedAt, held }, index): CountedImage => {
        const chains = path.map((_, depth) => path.slice(0, depth + 1).join('/'));
        const layers = chains.map((chain) => ({ chain, bytes: (chain.length * 37) % 50 }));
        return { id: `image-${index}`, layers, lastUsedAt, held };
      }),
    );
  const anyCache = fc.array(
    fc.record({
      bytes: fc.integer({ min: 0, max: 90 }),
      lastUsedAt: fc.integer({ min: 0, max: 20 }),
      inUse: fc.boolean(),
    }),
    { maxLength: 8 },
  );

  it('keeps its promises whatever lies on the engine', () => {
    fc.assert(
      fc.property(anyImages, anyCache, fc.integer({ min: 0, max: 500 }), (images, cache, budget) => {
        const plan = planEviction(images, cache, budget);
        const evicted = new Set(plan.images);
        const kept = images.filter(({ id }) => !evicted.has(id));
        const cacheBytes = cache.reduce((sum, { bytes }) => sum + bytes, 0);
        const keptCache = plan.keepCacheBytes ?? cacheBytes;

        // The figures are those of what is left.
        expect(plan.usedBytes).toBe(bytesOf(images) + cacheBytes);
        expect(plan.leftBytes).toBe(bytesOf(kept) + keptCache);
        // Nothing in use goes.
        expect(images.filter(({ id, held }) => held && evicted.has(id))).toEqual([]);
        expect(keptCache).toBeGreaterThanOrEqual(
          cache.filter(({ inUse }) => inUse).reduce((sum, { bytes }) => sum + bytes, 0),
        );
        // It ends within the budget, or with nothing more that could go and would free anything.
        if (plan.leftBytes > budget) {
          expect(keptCache).toBe(
            cache.filter(({ inUse }) => inUse).reduce((sum, { bytes }) => sum + bytes, 0),
          );
          expect(bytesOf(kept)).toBe(bytesOf(images.filter(({ held }) => held)));
        }
        // Within the budget from the start, nothing goes.
        if (plan.usedBytes <= budget) expect([plan.images, plan.keepCacheBytes]).toEqual([[], null]);
        // Nobody who stays was used before one who goes, unless to remove him would free nothing.
        const newest = Math.max(
          -1,
          ...images.filter(({ id }) => evicted.has(id)).map((each) => each.lastUsedAt),
        );
        for (const older of kept.filter(({ held, lastUsedAt }) => !held && lastUsedAt < newest)) {
          expect(bytesOf(kept.filter((each) => each !== older))).toBe(bytesOf(kept));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
