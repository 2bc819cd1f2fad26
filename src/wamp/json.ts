import { ProtocolViolation } from './errors.ts';
import type { Limits } from './limits.ts';

/** What reading a text may cost. */
export type JsonLimits = Pick<Limits, 'nesting' | 'members'>;

/** What TypeScript does not know of JSON yet: how a value was written, and a value that is written as it is told. */
interface ExactJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}
const exactJson = JSON as unknown as ExactJson;

/** A dictionary of JSON. */
export type Dict = Record<string, unknown>;

/** Whether a value that was read is a dictionary: an object that is neither a list nor an integer beyond 2^53. */
export function isDict(value: unknown): value is Dict {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !exactJson.isRawJSON(value);
}

/**
 * Reads JSON from a peer. An integer beyond 2^53, which other languages have and JavaScript would round, is kept as
 * `JSON.rawJSON`: it is written to others as it came.
 *
 * @throws ProtocolViolation when the text is no JSON, or beyond the limits.
 */
export function readJson(text: string, limits: JsonLimits): unknown {
  // Before it is read: what is nested without bound could be read but not written again, and a million of small values take seconds.
  checkExtent(text, limits);
  try {
    return LARGE_NUMBER.test(text) ? exactJson.parse(text, keepExact) : JSON.parse(text);
  } catch {
    throw new ProtocolViolation('a message must be JSON');
  }
}

/** Whether a text may have an integer beyond 2^53: most have none, and are read faster. */
const LARGE_NUMBER = /9\d{15}|\d{17}/;
const INTEGER = /^-?\d+$/;

function keepExact(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || source === undefined) return value;
  return INTEGER.test(source) && String(value) !== source ? exactJson.rawJSON(source) : value;
}

/**
 * Refuses what lies deeper than `nesting`, or has more than `members`. Counted is what begins or divides lists and dictionaries, so
 * that a key counts as well as its value, and an empty list as one.
 */
function checkExtent(text: string, { nesting, members }: JsonLimits): void {
  // A level takes two characters and a member one, so that most messages need no look at all.
  if (text.length <= Math.min(2 * nesting, members)) return;
  let depth = 0;
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > nesting) throw new ProtocolViolation(`a message may be nested ${nesting} levels deep`);
        count++;
        break;
      case 0x2c: // ,
      case 0x3a: // :
        count++;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
      case 0x22: // ": on to the end of the string
        do {
          index = text.indexOf('"', index + 1);
          // It does not end, and is no JSON.
          if (index === -1) return;
        } while (isEscaped(text, index));
        break;
    }
    if (count > members) throw new ProtocolViolation(`a message may have ${members} members`);
  }
}

/** Whether an odd number of backslashes stands before a place. */
function isEscaped(text: string, index: number): boolean {
  let before = index;
  while (text.charCodeAt(before - 1) === 0x5c) before--;
  return (index - before) % 2 === 1;
}
