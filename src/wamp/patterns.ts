import { SparseMap } from './sparse-map.ts';
import type { MatchPolicy } from './uris.ts';

interface Pattern {
  readonly uri: string;
  readonly match: MatchPolicy;
}

/** What stands under a pattern that leaves components open. */
interface Wildcard<Item> {
  readonly item: Item;
  readonly components: readonly string[];
}

/**
 * Things under URIs, exact or patterns, found by the URI that is called or published to (WAMP, "Pattern-based
 * Subscriptions" and "Pattern-based Registrations").
 */
export class Patterns<Item extends Pattern> {
  readonly #exact = new SparseMap<string, Item>();
  // Most realms have no patterns, and there may be tens of thousands of realms.
  #prefixes: Map<string, Item> | null = null;
  #wildcards: Map<string, Wildcard<Item>> | null = null;

  /** What stands under this very pattern. */
  get(uri: string, match: MatchPolicy): Item | undefined {
    switch (match) {
      case 'exact':
        return this.#exact.get(uri);
      case 'prefix':
        return this.#prefixes?.get(uri);
      case 'wildcard':
        return this.#wildcards?.get(uri)?.item;
    }
  }

  add(item: Item): void {
    switch (item.match) {
      case 'exact':
        this.#exact.set(item.uri, item);
        break;
      case 'prefix':
        (this.#prefixes ??= new Map()).set(item.uri, item);
        break;
      case 'wildcard':
        (this.#wildcards ??= new Map()).set(item.uri, { item, components: item.uri.split('.') });
        break;
    }
  }

  delete(item: Item): void {
    switch (item.match) {
      case 'exact':
        this.#exact.delete(item.uri);
        break;
      case 'prefix':
        this.#prefixes?.delete(item.uri);
        break;
      case 'wildcard':
        this.#wildcards?.delete(item.uri);
        break;
    }
  }

  /** Everything that a URI matches. */
  all(uri: string): Item[] {
    const found: Item[] = [];
    const exact = this.#exact.get(uri);
    if (exact) found.push(exact);
    if (this.#prefixes) {
      for (const item of this.#prefixes.values()) if (uri.startsWith(item.uri)) found.push(item);
    }
    for (const { item } of this.#matchingWildcards(uri)) found.push(item);
    return found;
  }

  /** The best match of a pattern: the longest prefix, else the wildcard that says most before it first leaves something open. */
  best(uri: string): Item | null {
    let longest: Item | null = null;
    if (this.#prefixes) {
      for (const item of this.#prefixes.values()) {
        if (uri.startsWith(item.uri) && (!longest || item.uri.length > longest.uri.length)) longest = item;
      }
    }
    if (longest) return longest;
    let closest: Wildcard<Item> | null = null;
    for (const candidate of this.#matchingWildcards(uri)) {
      if (!closest || isCloser(candidate.components, closest.components)) closest = candidate;
    }
    return closest?.item ?? null;
  }

  #matchingWildcards(uri: string): Wildcard<Item>[] {
    if (!this.#wildcards) return [];
    const asked = uri.split('.');
    return [...this.#wildcards.values()].filter(
      ({ components }) =>
        components.length === asked.length &&
        components.every((each, index) => each === '' || each === asked[index]),
    );
  }
}

/** Compares two wildcard patterns of one length: at the first place where they differ, the one that names a component is closer. */
function isCloser(one: readonly string[], other: readonly string[]): boolean {
  const place = one.findIndex((each, index) => (each === '') !== (other[index] === ''));
  return place !== -1 && one[place] !== '';
}
