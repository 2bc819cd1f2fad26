/**
 * A map that mostly holds nothing, or one thing. There may be tens of thousands of sessions with several of these each: a `Map` takes
 * 200 bytes even when it is empty, so one is made only for a second thing, and given up with the last.
 */
export class SparseMap<Key extends number | string, Value extends object> {
  #key: Key | null = null;
  #value: Value | null = null;
  #many: Map<Key, Value> | null = null;

  get size(): number {
    return this.#many?.size ?? (this.#value === null ? 0 : 1);
  }

  get(key: Key): Value | undefined {
    if (this.#many) return this.#many.get(key);
    return this.#value !== null && this.#key === key ? this.#value : undefined;
  }

  set(key: Key, value: Value): void {
    if (this.#many) {
      this.#many.set(key, value);
    } else if (this.#key === null || this.#value === null || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#many = new Map([
        [this.#key, this.#value],
        [key, value],
      ]);
      this.#forgetOne();
    }
  }

  /** Whether it was there. */
  delete(key: Key): boolean {
    if (this.#many) {
      const isDeleted = this.#many.delete(key);
      if (this.#many.size === 0) this.#many = null;
      return isDeleted;
    }
    if (this.#value === null || this.#key !== key) return false;
    this.#forgetOne();
    return true;
  }

  /** In the order in which they came, without what is deleted meanwhile before its turn. What comes meanwhile may be left out. */
  values(): Iterable<Value> {
    if (this.#many) return this.#many.values();
    return this.#value === null ? [] : [this.#value];
  }

  #forgetOne(): void {
    this.#key = null;
    this.#value = null;
  }
}
