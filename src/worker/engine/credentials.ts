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

/** All of them in the form of the header `X-Registry-Config`, in which an engine looks up each host by itself. */
export function registryConfig(
  credentials: ReadonlyMap<string, RegistryCredentials>,
): Record<string, { username: string; password: string }> {
  return Object.fromEntries(
    [...credentials].map(([host, { username, password }]) => [storedName(host), { username, password }]),
  );
}

function storedName(host: string): string {
  const name = host.toLowerCase();
  return HUB_NAMES.has(name) ? HUB_STORED_AS : name;
}
