import { DOCKER_FRONTENDS, type AllowedFrontends } from './buildkit/frontend.ts';
import { createBuilders, type BuilderChoice } from './builders.ts';
import { describeEngine } from './describe.ts';
import { dockerClient } from './docker-client.ts';
import { parseEndpoint } from './endpoint.ts';
import type { Engine } from './engine.ts';
import { createImages } from './images.ts';
import { createStorage, type EngineStorage } from './storage.ts';
import { createTransport } from './transport.ts';

export interface EngineOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly dockerHost: string;
  /** A folder with `ca.pem`, `cert.pem` and `key.pem`, for an engine that speaks TLS. */
  readonly certPath?: string;
  readonly builder: BuilderChoice;
  /** The frontend images that BuildKit may run; Docker's own when absent. */
  readonly frontends?: AllowedFrontends;
}

/**
 * An engine behind Docker's API: Docker, or Podman, which builds classically. Connects when it is used. Throws an
 * EngineError `refused` for an address or certificates that cannot be used.
 */
export function createEngine({
  dockerHost,
  certPath,
  builder,
  frontends = DOCKER_FRONTENDS,
}: EngineOptions): Engine {
  const endpoint = parseEndpoint(dockerHost, certPath);
  const transport = createTransport(endpoint);
  const builders = createBuilders(transport, builder, frontends);
  return {
    ...createImages(dockerClient(endpoint), endpoint.name, builders.isPodman),
    build: builders.build,
    describe: (signal) => describeEngine(transport, builders, signal),
  };
}

/** What lies on that engine. Throws as {@link createEngine} does. */
export function createEngineStorage({
  dockerHost,
  certPath,
}: Pick<EngineOptions, 'dockerHost' | 'certPath'>): EngineStorage {
  return createStorage(createTransport(parseEndpoint(dockerHost, certPath)));
}
