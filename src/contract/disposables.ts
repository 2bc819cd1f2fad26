/**
 * What is to be disposed of together, the last first, as by `AsyncDisposableStack`, which Node has from version 24 on: the programs
 * run on Node 22, too.
 */
export interface Disposables extends AsyncDisposable {
  /** Disposes of this, too. */
  use<T extends AsyncDisposable>(resource: T): T;
  /** Does this, too. */
  defer(work: () => Promise<void> | void): void;
  /** Hands all of it over: nothing is left here. */
  move(): Disposables;
}

/** Makes an empty one. All is disposed of, whatever fails; then the first error is thrown. */
export function createDisposables(works: (() => PromiseLike<void> | void)[] = []): Disposables {
  return {
    use: (resource) => {
      works.push(() => resource[Symbol.asyncDispose]());
      return resource;
    },
    defer: (work) => void works.push(work),
    move: () => createDisposables(works.splice(0)),
    [Symbol.asyncDispose]: async () => {
      const errors: unknown[] = [];
      for (const work of works.splice(0).reverse()) {
        try {
          await work();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length > 0) throw errors[0];
    },
  };
}
