import { createHash } from 'node:crypto';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import { withDeadline } from './deadline.ts';
import { EngineError } from './engine.ts';
import { unreachable } from './errors.ts';
import type { Transport } from './transport.ts';

/**
 * What lies on an engine, and what it costs. Sizes in bytes, times in milliseconds since 1970. Every call throws an EngineError, or
 * the signal's reason.
 */
export interface EngineStorage {
  /** What the engine says of itself and its machine. */
  facts(signal: AbortSignal): Promise<EngineFacts>;
  /** The images that have a name, or are no other image's parent. */
  images(signal: AbortSignal): Promise<StoredImage[]>;
  /** The layers of an image from the lowest up, or null when it is gone. They never change. */
  layers(imageId: string, signal: AbortSignal): Promise<StoredLayer[] | null>;
  /** What BuildKit keeps beside the images; records that share their bytes with an image are left out. Slow with many images. */
  buildCache(signal: AbortSignal): Promise<CacheRecord[]>;
  /** Removes BuildKit's records that no build and no image uses, the least recently used first, until these bytes are left. */
  pruneBuildCache(keepBytes: number, signal: AbortSignal): Promise<void>;
  /**
   * Removes a name, or an image by its id, and with its last name the image. `in-use`: a container or another image needs it;
   * one that is gone already counts as removed.
   */
  remove(reference: string, signal: AbortSignal): Promise<'removed' | 'in-use'>;
  /** Removes a container that does not run; one that runs, or is gone already, is no error. */
  removeContainer(id: string, signal: AbortSignal): Promise<void>;
}

export interface EngineFacts {
  /** Tells engines apart: the machine and where the engine keeps its data. */
  readonly identity: string;
  /** The folder of its data, as the engine's machine names it. */
  readonly dataRoot: string;
  readonly version: string;
  /** Whether the kernel lets it bound the memory and the processor time of a container. */
  readonly boundsMemory: boolean;
  readonly boundsCpu: boolean;
}

export interface StoredImage {
  readonly id: string;
  /** Each `name:tag`. */
  readonly tags: readonly string[];
  /** Each `name@digest`. */
  readonly digests: readonly string[];
  readonly createdAt: number;
}

export interface StoredLayer {
  /** Names the layer together with all below it: images with the same chain share its bytes. */
  readonly chain: string;
  readonly bytes: number;
}

export interface CacheRecord {
  readonly bytes: number;
  readonly lastUsedAt: number;
  readonly inUse: boolean;
}

/** Looking at much, or removing much, may take an engine this long. */
const STORAGE_WITHIN_MS = 600_000;

const infoSchema = z.object({
  Name: z.string().catch(''),
  DockerRootDir: z.string().catch(''),
  ServerVersion: z.string().catch(''),
  MemoryLimit: z.boolean().catch(false),
  CpuCfsQuota: z.boolean().catch(false),
});
const names = z.array(z.string()).nullish();
const imagesSchema = z.array(
  z.object({ Id: z.string(), RepoTags: names, RepoDigests: names, Created: z.number().catch(0) }),
);
const imageSchema = z.object({
  Size: z.number().catch(0),
  RootFS: z.object({ Layers: z.array(z.string()).nullish() }).nullish(),
});
const historySchema = z.array(z.object({ Size: z.number().catch(0) }));
const recordsSchema = z.array(
  z.object({
    Size: z.number(),
    InUse: z.boolean().catch(false),
    Shared: z.boolean().catch(false),
    CreatedAt: z.string().nullish(),
    LastUsedAt: z.string().nullish(),
  }),
);
/** `BuildCache` until API 1.51, `BuildCacheUsage` in newer ones. */
const usageSchema = z.object({
  BuildCache: recordsSchema.nullish(),
  BuildCacheUsage: z.object({ Items: recordsSchema.nullish() }).nullish(),
});

export function createStorage(transport: Transport): EngineStorage {
  const ask = async (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    signal: AbortSignal,
  ): Promise<{ status: number; body: unknown }> => {
    try {
      return await withDeadline(
        signal,
        async (bounded) => {
          const response = await transport.request({ method, path, signal: bounded }, (status, message) => {
            return new EngineError('refused', message, { cause: { status } });
          });
          const body = response.statusCode === 204 ? null : await json(response);
          return { status: response.statusCode ?? 0, body };
        },
        STORAGE_WITHIN_MS,
      );
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const status = statusOf(error);
      if (status === 404 || status === 409) return { status, body: null };
      if (error instanceof EngineError) throw error;
      throw unreachable(transport.name, error);
    }
  };
  const read = async <T>(schema: z.ZodType<T>, path: string, signal: AbortSignal): Promise<T | null> => {
    const { status, body } = await ask('GET', path, signal);
    if (status === 404) return null;
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw new EngineError('refused', `The engine's answer to ${path} cannot be read.`);
    return parsed.data;
  };

  return {
    facts: async (signal) => {
      const info = await read(infoSchema, '/info', signal);
      return {
        identity: `${info?.Name ?? ''} ${info?.DockerRootDir ?? ''}`,
        dataRoot: info?.DockerRootDir ?? '',
        version: info?.ServerVersion ?? '',
        boundsMemory: info?.MemoryLimit ?? false,
        boundsCpu: info?.CpuCfsQuota ?? false,
      };
    },
    images: async (signal) =>
      ((await read(imagesSchema, '/images/json', signal)) ?? []).map((image) => ({
        id: image.Id,
        tags: named(image.RepoTags),
        digests: named(image.RepoDigests),
        createdAt: image.Created * 1000,
      })),
    layers: async (imageId, signal) => {
      const path = `/images/${encodeURIComponent(imageId)}`;
      const image = await read(imageSchema, `${path}/json`, signal);
      const history = await read(historySchema, `${path}/history`, signal);
      if (!image || !history) return null;
      const diffs = image.RootFS?.Layers ?? [];
      const sizes = layerSizes(history.map(({ Size }) => Size).reverse(), diffs.length, image.Size);
      let below = '';
      return diffs.map((diff, index) => {
        below = createHash('sha256').update(`${below} ${diff}`).digest('hex');
        return { chain: below, bytes: sizes[index] ?? 0 };
      });
    },
    buildCache: async (signal) => {
      const usage = await read(usageSchema, '/system/df?type=build-cache', signal);
      const records = usage?.BuildCache ?? usage?.BuildCacheUsage?.Items ?? [];
      return records
        .filter(({ Shared }) => !Shared)
        .map(({ Size, InUse, LastUsedAt, CreatedAt }) => ({
          bytes: Size,
          inUse: InUse,
          lastUsedAt: Date.parse(LastUsedAt ?? CreatedAt ?? '') || 0,
        }));
    },
    // Without `all`, what images share is left alone: to remove it would free nothing, and lose the steps of the next build.
    pruneBuildCache: async (keepBytes, signal) => {
      const bytes = Math.max(0, Math.floor(keepBytes));
      await ask('POST', `/build/prune?keep-storage=${bytes}&reserved-space=${bytes}`, signal);
    },
    remove: async (reference, signal) => {
      const { status } = await ask('DELETE', `/images/${encodeURIComponent(reference)}`, signal);
      return status === 409 ? 'in-use' : 'removed';
    },
    removeContainer: async (id, signal) => {
      await ask('DELETE', `/containers/${encodeURIComponent(id)}?v=1`, signal);
    },
  };
}

/** Without what engines say in the place of a name that is missing. */
function named(given: readonly string[] | null | undefined): string[] {
  return (given ?? []).filter((name) => !name.startsWith('<none>'));
}

function statusOf(error: unknown): number | null {
  if (!(error instanceof EngineError)) return null;
  return z.object({ status: z.number() }).safeParse(error.cause).data?.status ?? null;
}

/**
 * The sizes of an image's layers, from its history, the oldest first: entries that made no layer, which have no size, are left
 * out. A history that does not fit has all bytes on the last layer.
 */
function layerSizes(history: readonly number[], layers: number, total: number): number[] {
  let surplus = history.length - layers;
  const sizes = history.filter((size) => size !== 0 || surplus-- <= 0);
  return sizes.length === layers ? sizes : [...Array<number>(Math.max(0, layers - 1)).fill(0), total];
}
