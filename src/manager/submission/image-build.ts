import { z } from 'zod';
import { limitsSchema, networkSchema } from '../../contract/build-options.ts';
import type { BuildRow } from '../../store/index.ts';

/** What a build of the kind `image` keeps in the store: its spec, its secrets and its outputs. */

/** `NewBuild.kind`. */
export const IMAGE_KIND = 'image';

/** `NewBuild.spec`: what is built, free of secrets. */
export const imageSpecSchema = z.object({
  source: z.discriminatedUnion('type', [
    /** Uploaded; its bytes are the package of the build. */
    z.object({ type: z.literal('package'), size: z.int(), sha256: z.string() }),
    /** Without userinfo and query: whole in the secrets. */
    z.object({ type: z.literal('url'), url: z.string() }),
    /** Without userinfo: whole in the secrets. */
    z.object({ type: z.literal('git'), url: z.string(), ref: z.string().nullable(), sha: z.string() }),
  ]),
  context: z.string(),
  dockerfile_path: z.string(),
  // Builds that were submitted before there were options have none.
  build_args: z.record(z.string(), z.string()).default({}),
  target: z.string().default(''),
  labels: z.record(z.string(), z.string()).default({}),
  oci_labels: z.boolean().default(true),
  platform: z.string().default(''),
  cache_from: z.array(z.string()).default([]),
  cache_to: z.array(z.string()).default([]),
  push_to: z.array(z.string()).default([]),
  limits: limitsSchema.default({}),
  timeout: z.int().nullable().default(null),
  silence_timeout: z.int().nullable().default(null),
  network: networkSchema.default('default'),
});
export type ImageSpec = z.output<typeof imageSpecSchema>;

/** The `timeout` that a build asks for, in seconds; null for none. */
export function askedTimeout({ timeout }: BuildRow['spec']): number | null {
  return typeof timeout === 'number' ? timeout : null;
}

/** What is sealed of a build, under {@link secretsContext}. */
export const imageSecretsSchema = z.object({
  /** The package's URL, whole. */
  build_package: z.string().optional(),
  /** The repository's URL, whole. */
  git_url: z.string().optional(),
  private_key: z.string().optional(),
  base_image: z.object({ username: z.string(), password: z.string() }).optional(),
  /** What steps may mount, by id. */
  secrets: z.record(z.string(), z.string()).optional(),
  /** By registry host. */
  registry_auth: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).optional(),
  /** Private keys that steps may use through an agent, by id. */
  ssh: z.record(z.string(), z.string()).optional(),
});
export type ImageSecrets = z.output<typeof imageSecretsSchema>;

/** The place that the secrets of a build are bound to. */
export function secretsContext(buildId: string): string {
  return `build/${buildId}/secrets`;
}

/** The outputs of a build that is complete (`TryResult.outputs`). */
export const imageOutputsSchema = z.object({
  /** The engine's id. */
  image_id: z.string(),
  /** By tag; null where the worker did not say which tag its digest belongs to. */
  digests: z.record(z.string(), z.string().nullable()),
});
