/** How a subscription or a registration compares its URI with the one that is published to or called. */
export const matchPolicies = ['exact', 'prefix', 'wildcard'] as const;
export type MatchPolicy = (typeof matchPolicies)[number];

/** WAMP, "Relaxed/Loose URIs": components that are not empty. */
const LOOSE = /^[^\s.#]+(?:\.[^\s.#]+)*$/;
/** The same, where a component may be empty: the patterns of prefix and wildcard matching. */
const LOOSE_PATTERN = /^[^\s.#]*(?:\.[^\s.#]*)*$/;

/** Whether a text is a loose URI of at most `maxLength` characters. */
export function isUri(text: string, maxLength: number): boolean {
  return text.length <= maxLength && LOOSE.test(text);
}

/** Whether a text may be registered or subscribed to under a match policy. */
export function isPattern(text: string, policy: MatchPolicy, maxLength: number): boolean {
  return policy === 'exact' ? isUri(text, maxLength) : text.length <= maxLength && LOOSE_PATTERN.test(text);
}

/** Whether a URI belongs to WAMP itself ("Reserved URIs"). */
export function isReserved(uri: string): boolean {
  return uri === 'wamp' || uri.startsWith('wamp.');
}
