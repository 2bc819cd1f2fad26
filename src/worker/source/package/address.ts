import { BuildError } from '../../../contract/build-errors.ts';
import { quote } from '../../../contract/words.ts';

/** Where a package is asked for: the URL without its credentials, and the header that carries them. */
export interface PackageAddress {
  readonly url: URL;
  readonly authorization: string | null;
}

/** Reads the build argument `build_package`. Throws a BuildError `buildpackissue` for what is no http(s) URL. */
export function parsePackageAddress(text: string): PackageAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) {
    throw new BuildError(
      'buildpackissue',
      'The package is given by what is no URL. Give an http or https URL.',
    );
  }
  requireHttp(url);
  const authorization =
    url.username === '' && url.password === ''
      ? null
      : `Basic ${Buffer.from(`${decode(url.username)}:${decode(url.password)}`).toString('base64')}`;
  url.username = '';
  url.password = '';
  return { url, authorization };
}

/** Where a redirect leads. Credentials go along only to the origin that they were given for. */
export function followRedirect(from: PackageAddress, location: string): PackageAddress {
  if (!URL.canParse(location, from.url.href)) {
    throw new BuildError('buildpackissue', `${maskUrl(from.url)} redirects to what is no URL.`);
  }
  const url = new URL(location, from.url);
  requireHttp(url);
  const next = parsePackageAddress(url.href);
  if (next.authorization !== null || next.url.origin !== from.url.origin) return next;
  return { url: next.url, authorization: from.authorization };
}

/** A package's URL as people may see it: path and query can be what permits to fetch it. */
export function maskUrl(url: URL): string {
  return `${url.origin}/…`;
}

function requireHttp(url: URL): void {
  if (url.protocol === 'http:' || url.protocol === 'https:') return;
  throw new BuildError(
    'buildpackissue',
    `The package is given by a URL of the scheme ${quote(url.protocol)}. Give an http or https URL.`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
