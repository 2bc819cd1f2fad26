import type { BuildArguments } from './build-arguments.ts';

/** Hides the values of secrets in what leaves a worker, and in what a manager keeps of it. */

export const MASK = '***';

export interface Masker {
  /** Hides every secret in a whole text. */
  mask(text: string): string;
  /** Masks a text that comes in pieces, also where a secret lies across several of them. */
  stream(): MaskedStream;
}

export interface MaskedStream {
  /** The masked text so far known to be free of secrets; what may be the beginning of one is held back. */
  push(piece: string): string;
  /** What was held back: the text has ended. */
  end(): string;
}

/** Shorter values are not masked: they would hide ordinary words and thereby tell where they stand. */
const SECRET_MIN = 3;
/** The same for one line of a private key. */
const KEY_LINE_MIN = 6;
/** The last part of a path that is long and random lets its reader in: a capability. */
const CAPABILITY = /[\w-]{32,}$/;

/** The userinfo of any URL is hidden, known as a secret or not; and what may be the beginning of one. */
const USERINFO = /(?<=:\/\/)[^/\s@]{1,256}(?=@)/g;
const UNFINISHED_USERINFO = /:(?:\/(?:\/[^/\s@]{0,256})?)?$/;

/** Makes a masker of secret values. Each line of one counts as a secret of its own; too short ones are left alone. */
export function createMasker(values: Iterable<string>): Masker {
  const secrets = [...new Set([...values].flatMap((value) => value.split(/\r?\n/)))].filter(
    (value) => value.length >= SECRET_MIN,
  );
  return {
    mask: (text) => {
      const stream = createStream(secrets);
      return stream.push(text) + stream.end();
    },
    stream: () => createStream(secrets),
  };
}

function createStream(secrets: readonly string[]): MaskedStream {
  let held = '';
  /** How much of what is held belongs to a secret whose mask was written already. */
  let covered = 0;
  return {
    push: (piece) => {
      const text = held + piece;
      const keepFrom = text.length - unfinished(text, secrets);
      const [masked, reached] = write(text, keepFrom, covered, secrets);
      held = text.slice(keepFrom);
      covered = Math.max(0, reached - keepFrom);
      return masked;
    },
    end: () => {
      const [masked] = write(held, held.length, covered, secrets);
      held = '';
      covered = 0;
      return masked;
    },
  };
}

/** How long the longest end of the text is that may be the beginning of a secret. No secret has a line break in it. */
function unfinished(text: string, secrets: readonly string[]): number {
  const line = text.slice(text.lastIndexOf('\n') + 1);
  let longest = UNFINISHED_USERINFO.exec(line)?.[0].length ?? 0;
  for (const secret of secrets) {
    const first = secret.charCodeAt(0);
    for (let length = Math.min(secret.length - 1, line.length); length > longest; length -= 1) {
      // A build may have many secrets, and this is asked of each piece of a log: the first character tells most cases.
      if (line.charCodeAt(line.length - length) !== first) continue;
      if (line.endsWith(secret.slice(0, length))) longest = length;
    }
  }
  return longest;
}

/**
 * Writes a text up to a position with a mask for each run of overlapping secrets. `covered` characters at its beginning were
 * masked before. Answers also how far the last secret that begins before that position reaches.
 */
function write(
  text: string,
  end: number,
  covered: number,
  secrets: readonly string[],
): [masked: string, reached: number] {
  let masked = '';
  let reached = covered;
  for (const [from, to] of occurrences(text, secrets)) {
    if (from >= end) break;
    if (from >= reached) masked += text.slice(reached, from) + MASK;
    reached = Math.max(reached, to);
  }
  return [masked + text.slice(reached, Math.max(reached, end)), reached];
}

/** Where secrets stand in a text, also where they overlap, by their beginning. */
function occurrences(text: string, secrets: readonly string[]): [from: number, to: number][] {
  // Looked for first: most of a log has no URL, and is then not searched letter by letter.
  const urls = text.includes('://') ? text.matchAll(USERINFO) : [];
  const found = Array.from(urls, (match): [number, number] => [match.index, match.index + match[0].length]);
  for (const secret of secrets) {
    for (let at = text.indexOf(secret); at !== -1; at = text.indexOf(secret, at + 1)) {
      found.push([at, at + secret.length]);
    }
  }
  return found.sort(([a], [b]) => a - b);
}

/** Every secret among a build's arguments, in the forms in which it may be printed. */
export function secretsOf(build: BuildArguments): string[] {
  const passwords = [
    build.pull_token,
    build.push_token,
    build.lease?.token ?? '',
    build.base_image?.password ?? '',
    ...Object.values(build.registry_auth ?? {}).map(({ password }) => password),
    ...Object.values(build.secrets ?? {}).flatMap((value) => [value, ...value.split(/\r?\n/)]),
    ...urlSecrets(build.build_package),
    ...urlSecrets(build.git?.url ?? ''),
  ];
  const keys = [build.git?.private_key ?? '', ...Object.values(build.ssh ?? {})];
  return [...passwords.filter((value) => value !== '').flatMap(secretForms), ...keys.flatMap(keyLines)];
}

function keyLines(key: string): string[] {
  return key
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.length >= KEY_LINE_MIN && !line.startsWith('-----'));
}

/** A secret in the forms in which it may be printed: as it is, in a URL, in JSON. */
export function secretForms(secret: string): string[] {
  return [secret, encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)];
}

/** What of a URL lets its reader in: a password, a lone user (a token), the query, a capability at its end. */
export function urlSecrets(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { protocol, username, password, pathname, search } = new URL(text);
  // Over ssh a user is a login, mostly `git`, which is no secret and a word of every log.
  const alone = protocol === 'ssh:' ? '' : username;
  const [capability = ''] = CAPABILITY.exec(pathname) ?? [];
  return [password === '' ? alone : password, search.slice(1), capability].flatMap((part) => [
    part,
    decoded(part),
  ]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
