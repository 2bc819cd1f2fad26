import type { RegistryCredentials } from './engine.ts';

/** Docker Hub goes by several names: of images, of its API, and the one under which `docker login` stores it. */
const HUB_STORED_AS = 'https://index.docker.io/v1/';
const HUB_NAMES: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  HUB_STORED_AS,
]);

/** The credentials of exactly this host, or null. A name of Docker Hub's stands for every other. */
export function credentialsOf(
  credentials: ReadonlyMap<string, RegistryCredentials>,
  host: string,
): RegistryCredentials | null {
  const wanted = storedName(host);
  for (const [name, value] of credentials) if (storedName(name) === wanted) return value;
  return null;
}

/**
 * The header `X-Registry-Config`: all of them, of which the engine takes those of the host that it asks. It is base64url with
 * padding; anything else the engine passes over in silence.
 */
export function registryConfigHeader(credentials: ReadonlyMap<string, RegistryCredentials>): string {
  const config = Object.fromEntries(
    [...credentials].map(([host, { username, password }]) => [storedName(host), { username, password }]),
  );
  return Buffer.from(JSON.stringify(config)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

function storedName(host: string): string {
  const name = host.toLowerCase();
  return HUB_NAMES.has(name) ? HUB_STORED_AS : name;
}
