import { expect, it } from 'vitest';
import { createDisposables } from '../../src/contract/disposables.ts';

/** What is disposed of together. */

it('is disposed of once, the last first, each when the one before it is done', async () => {
  const done: string[] = [];
  const disposable = (name: string): AsyncDisposable => ({
    [Symbol.asyncDispose]: async () => {
      await Promise.resolve();
      done.push(name);
    },
  });
  const all = createDisposables();
  const first = disposable('first');
  expect(all.use(first)).toBe(first);
  all.defer(() => void done.push('second'));
  all.use(disposable('third'));
  await all[Symbol.asyncDispose]();
  await all[Symbol.asyncDispose]();
  expect(done).toEqual(['third', 'second', 'first']);
});

it('is disposed of whole, whatever fails, and the first error is thrown', async () => {
  const done: string[] = [];
  const all = createDisposables();
  all.defer(() => void done.push('first'));
  all.defer(() => Promise.reject(new Error('later')));
  all.defer(() => {
    throw new Error('earlier');
  });
  await expect(all[Symbol.asyncDispose]()).rejects.toThrow('earlier');
  expect(done).toEqual(['first']);
});

it('is somebody else’s once it was handed over', async () => {
  const done: string[] = [];
  const start = async (): Promise<AsyncDisposable> => {
    await using starting = createDisposables();
    starting.defer(() => void done.push('it'));
    return starting.move();
  };
  const started = await start();
  expect(done).toEqual([]);
  await started[Symbol.asyncDispose]();
  expect(done).toEqual(['it']);
});
