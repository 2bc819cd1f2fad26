/** The grammar of image names, as registries and engines enforce it (OCI distribution specification, "Pulling manifests"). */

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** The longest `namespace/name`, in characters, that the engine accepts next to a host. */
const REPOSITORY_MAX_LENGTH = 255;
/** How many components a repository may have, `namespace/name` having two. */
const REPOSITORY_MAX_COMPONENTS = 8;

/** Whether this is `namespace/name` (or deeper), in the registry's grammar. */
export function isRepository(text: string): boolean {
  const components = text.split('/');
  return (
    text.length <= REPOSITORY_MAX_LENGTH &&
    components.length >= 2 &&
    components.length <= REPOSITORY_MAX_COMPONENTS &&
    components.every((component) => COMPONENT.test(component))
  );
}

/** Whether this is what a repository may lie in: all before its last component. */
export function isNamespace(text: string): boolean {
  return isRepository(`${text}/n`);
}

/** Whether this is a tag: a word character, then up to 127 of `[A-Za-z0-9_.-]`. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Whether this is `host` or `host:port`, IPv6 in brackets. */
export function isRegistryHost(text: string): boolean {
  return text.length <= 255 && HOST.test(text);
}

const HUB_NAMES: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io']);

/** The one form of a registry's host by which two are compared: in small letters, and Docker's hub by the name that images have. */
export function canonicalRegistry(host: string): string {
  const name = host.toLowerCase();
  return HUB_NAMES.has(name) ? 'docker.io' : name;
}

/** Whether this is `sha256:` and 64 hexadecimal digits. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Whether this is a whole commit id, SHA-1 or SHA-256. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

const REFERENCE = /^(?:(?<host>[^/]*[.:A-Z][^/]*|localhost)\/)?(?<path>[^:@]+)(?::(?<tag>[^:@]+))?$/;

/** Whether this is the name of an image, `[host[:port]/]path[:tag]`, as engines read it. */
export function isImageName(text: string): boolean {
  const { host, path = '', tag } = REFERENCE.exec(text)?.groups ?? {};
  return (
    text.length <= REPOSITORY_MAX_LENGTH &&
    path.split('/').every((component) => COMPONENT.test(component)) &&
    (host === undefined || isRegistryHost(host)) &&
    (tag === undefined || isTag(tag))
  );
}

/** The parts of a whole reference, `host[:port]/namespace/name:tag`; null when one of them is missing, or it is none. */
export function readTagReference(text: string): { host: string; repository: string; tag: string } | null {
  const { host, path = '', tag } = REFERENCE.exec(text)?.groups ?? {};
  if (host === undefined || tag === undefined || !isImageName(text) || !isRepository(path)) return null;
  return { host, repository: path, tag };
}

/** The registry of an image's name; `docker.io` when it names none. */
export function registryOf(imageName: string): string {
  return REFERENCE.exec(imageName)?.groups?.['host'] ?? 'docker.io';
}

/** The namespace of a repository: all before its last component. */
export function namespaceOf(repository: string): string {
  return repository.slice(0, repository.lastIndexOf('/'));
}
