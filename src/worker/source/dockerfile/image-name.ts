import { isDigest, isRegistryHost, isTag } from '../../../contract/references.ts';
import type { BaseImage } from '../source.ts';

/** The registry of names that have no host. */
export const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_REGISTRY_ALIAS = 'index.docker.io';

const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const OTHER_DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/;
/** The engine's limit on a name without tag and digest. */
const NAME_MAX_LENGTH = 255;

/** Reads `[host[:port]/]path[:tag][@digest]`, as engines do (distribution/reference, "Grammar"), or null. */
export function parseImageName(text: string): BaseImage | null {
  const [named = '', digest, ...more] = text.split('@');
  if (more.length > 0) return null;
  if (digest !== undefined && !isDigest(digest) && !OTHER_DIGEST.test(digest)) return null;
  const colon = named.lastIndexOf(':');
  const tagged = colon > named.lastIndexOf('/');
  const name = tagged ? named.slice(0, colon) : named;
  const tag = tagged ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !isTag(tag)) return null;

  const { registry, path } = splitHost(name);
  if (name.length > NAME_MAX_LENGTH || !isRegistryHost(registry) || !PATH.test(path)) return null;
  if (name === 'scratch' && tag === undefined && digest === undefined) {
    return { reference: 'scratch', registry, name, tag: 'latest' };
  }
  const reference = digest === undefined ? `${name}:${tag ?? 'latest'}` : `${name}@${digest}`;
  return { reference, registry, name, tag: digest ?? tag ?? 'latest' };
}

/** What two names of one image have in common: `nginx` and `docker.io/library/nginx:latest` are the same. */
export function imageKey(image: BaseImage): string {
  const { path } = splitHost(image.name);
  const full = image.registry === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path;
  return `${image.registry}/${full}${image.reference.slice(image.name.length)}`;
}

/** The first part is a host when it could not be part of a path: it has a dot, a colon or a capital, or is `localhost`. */
function splitHost(name: string): { readonly registry: string; readonly path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  if (slash === -1 || !(/[.:A-Z]/.test(first) || first === 'localhost')) {
    return { registry: DEFAULT_REGISTRY, path: name };
  }
  return {
    registry: first === DEFAULT_REGISTRY_ALIAS ? DEFAULT_REGISTRY : first,
    path: name.slice(slash + 1),
  };
}
