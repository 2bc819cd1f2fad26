import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SparseMap } from '../../src/wamp/sparse-map.ts';

const key = fc.integer({ min: 0, max: 4 });
const change = fc.oneof(
  fc.record({ type: fc.constant('set' as const), key, value: fc.record({ name: fc.string() }) }),
  fc.record({ type: fc.constant('delete' as const), key }),
);

test('whatever is set and deleted, it holds what a Map holds, in the same order', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const sparse = new SparseMap<number, object>();
      const map = new Map<number, object>();
      for (const each of changes) {
        if (each.type === 'delete') {
          expect(sparse.delete(each.key)).toBe(map.delete(each.key));
        } else {
          sparse.set(each.key, each.value);
          map.set(each.key, each.value);
        }
        expect(sparse.size).toBe(map.size);
        expect([...sparse.values()]).toEqual([...map.values()]);
        for (let asked = 0; asked <= 5; asked += 1) expect(sparse.get(asked)).toBe(map.get(asked));
      }
    }),
  );
});

test('all may be deleted while they are gone through', () => {
  for (const count of [1, 2, 3]) {
    const sparse = new SparseMap<number, { readonly id: number }>();
    for (let id = 1; id <= count; id += 1) sparse.set(id, { id });
    const seen: number[] = [];
    for (const { id } of sparse.values()) {
      seen.push(id);
      sparse.delete(id);
    }
    expect(seen).toEqual([1, 2, 3].slice(0, count));
    expect(sparse.size).toBe(0);
  }
});
