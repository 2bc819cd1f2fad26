/** What a registry wants to be shown (RFC 9110, section 11.6.1, in the two schemes that registries use). */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | null };

const SCHEME = /^\s*(basic|bearer)(?:\s+|$)/i;
const PARAMETER = /([a-z]+)="([^"\\]*)"/gi;

/** Reads `WWW-Authenticate`; null for what asks for neither. Several headers come as a list: the first that is one of the two counts. */
export function readChallenge(headers: string | readonly string[] | undefined): Challenge | null {
  for (const header of [headers ?? []].flat()) {
    const scheme = SCHEME.exec(header)?.[1]?.toLowerCase();
    if (scheme === 'basic') return { scheme };
    if (scheme !== 'bearer') continue;
    const parameters = new Map(
      Array.from(header.matchAll(PARAMETER), ([, name = '', value = '']) => [name.toLowerCase(), value]),
    );
    const realm = parameters.get('realm');
    if (realm !== undefined) return { scheme: 'bearer', realm, service: parameters.get('service') ?? null };
  }
  return null;
}
