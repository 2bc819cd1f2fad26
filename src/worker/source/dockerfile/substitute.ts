/** How variables are written in a FROM (Dockerfile reference, "Environment replacement"). */

/** What is known of the variables; one that is in neither has no value. */
export interface Variables {
  readonly values: Map<string, string>;
  /** Those whose value only the engine knows. */
  readonly unknown: Set<string>;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
/** How deep `${A:-${B:-…}}` may go, and how long the result may get, before the engine is left to it. */
const MAX_DEPTH = 16;
const MAX_LENGTH = 4096;

/** Signals what only the engine can read. */
class Unreadable extends Error {}

/**
 * Replaces `$X`, `${X}`, `${X:-y}`, `${X-y}`, `${X:+y}` and `${X+y}`, and takes quotes and escapes away. Answers null for what newer
 * frontends may know and this reader does not, and where an unknown variable is used.
 */
export function substitute(text: string, variables: Variables, escape: string): string | null {
  let at = 0;

  const word = (end: string | null, depth: number): string => {
    if (depth > MAX_DEPTH) throw new Unreadable();
    let out = '';
    let quoted = false;
    while (at < text.length) {
      const char = text.charAt(at);
      if (char === end && !quoted) break;
      if (out.length > MAX_LENGTH) throw new Unreadable();
      at += 1;
      if (char === escape && at < text.length) {
        out += text.charAt(at);
        at += 1;
      } else if (char === "'" && !quoted) {
        const close = text.indexOf("'", at);
        if (close === -1) throw new Unreadable();
        out += text.slice(at, close);
        at = close + 1;
      } else if (char === '"') quoted = !quoted;
      else if (char === '$') out += variable(depth);
      else out += char;
    }
    if (quoted) throw new Unreadable();
    return out;
  };

  const lookUp = (name: string): string | undefined => {
    if (variables.unknown.has(name)) throw new Unreadable();
    return variables.values.get(name);
  };

  const readName = (): string => {
    const name = NAME.exec(text.slice(at, at + 256))?.[0] ?? '';
    at += name.length;
    return name;
  };

  const variable = (depth: number): string => {
    if (text.charAt(at) !== '{') {
      const name = readName();
      return name === '' ? '$' : (lookUp(name) ?? '');
    }
    at += 1;
    const name = readName();
    if (name === '') throw new Unreadable();
    const value = lookUp(name);
    const colon = text.charAt(at) === ':';
    if (colon) at += 1;
    const operator = text.charAt(at);
    at += 1;
    if (operator === '}' && !colon) return value ?? '';
    if (operator !== '-' && operator !== '+') throw new Unreadable();
    const other = word('}', depth + 1);
    if (text.charAt(at) !== '}') throw new Unreadable();
    at += 1;
    const present = colon ? value !== undefined && value !== '' : value !== undefined;
    if (operator === '-') return present ? (value ?? '') : other;
    return present ? other : '';
  };

  try {
    return word(null, 0);
  } catch (error) {
    if (error instanceof Unreadable) return null;
    throw error;
  }
}
