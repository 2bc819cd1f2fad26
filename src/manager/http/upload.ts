import { Readable } from 'node:stream';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { buildRequestSchema, type BuildRequest } from '../../contract/api.ts';
import { BlobTooLarge } from '../../store/index.ts';
import { JSON_BODY_MAX, MULTIPART_OVERHEAD_MAX, SNIFF_BYTES } from './limits.ts';
import { sniffMediaType } from './media-type.ts';
import type { HttpDependencies, UploadedPackage } from './ports.ts';
import { ApiProblem } from './problems.ts';
import { issuesProblem } from './validation.ts';

/** `POST /api/v1/builds` as multipart/form-data: a part `request` (JSON), then a part `package` (the file). */

export interface UploadedBuild {
  readonly request: BuildRequest;
  readonly uploaded: UploadedPackage | null;
}

type UploadDependencies = Pick<HttpDependencies, 'blobs'> & {
  readonly store: Pick<HttpDependencies['store'], 'packages'>;
};

/**
 * Reads the parts, and stores the package on the way. When anything is wrong with the rest of the request, the package is removed.
 *
 * @throws ApiProblem naming what is wrong.
 */
export async function receiveBuild(
  http: FastifyRequest,
  dependencies: UploadDependencies,
  packageMax: number,
): Promise<UploadedBuild> {
  if (Number(http.headers['content-length'] ?? 0) > packageMax + MULTIPART_OVERHEAD_MAX) {
    throw tooLarge(packageMax);
  }
  let request: BuildRequest | null = null;
  let uploaded: UploadedPackage | null = null;
  try {
    const parts = http.parts({
      limits: { fields: 1, files: 1, parts: 2, fieldSize: JSON_BODY_MAX, fileSize: packageMax + 1 },
    });
    for await (const part of parts) {
      if (request === null) request = parseRequestPart(part);
      else if (part.type === 'file' && uploaded === null) {
        uploaded = await storePackage(part, dependencies, packageMax);
      } else throw new ApiProblem('multipart_invalid', { specifically: 'It has too many parts.' });
    }
    if (request === null) {
      throw new ApiProblem('multipart_invalid', { specifically: 'The part request is missing.' });
    }
    return { request, uploaded };
  } catch (error) {
    // Its row, which waits for a build that does not come, is swept.
    if (uploaded) await dependencies.blobs.delete(uploaded.id);
    throw isMalformed(error) ? new ApiProblem('multipart_invalid', { cause: error }) : error;
  }
}

/** Whether an error is the parser's, which gives its own no codes: no boundary, or an end before the last one. */
function isMalformed(error: unknown): boolean {
  return error instanceof Error && !('code' in error) && /multipart/i.test(error.message);
}

function parseRequestPart(part: Multipart): BuildRequest {
  if (part.type !== 'field' || part.fieldname !== 'request') {
    throw new ApiProblem('multipart_invalid', { specifically: 'The first part must be request.' });
  }
  if (part.valueTruncated) throw new ApiProblem('body_too_large');
  const parsed = buildRequestSchema.safeParse(
    typeof part.value === 'string' ? parseJson(part.value) : part.value,
  );
  if (!parsed.success) throw issuesProblem(parsed.error.issues, 'request');
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiProblem('json_invalid', { specifically: 'The part request is not.', cause: error });
  }
}

async function storePackage(
  part: MultipartFile,
  { blobs, store }: UploadDependencies,
  packageMax: number,
): Promise<UploadedPackage> {
  const head: Uint8Array[] = [];
  let headBytes = 0;
  async function* withHead(): AsyncGenerator<Uint8Array> {
    for await (const chunk of part.file as AsyncIterable<Uint8Array>) {
      if (headBytes < SNIFF_BYTES) {
        head.push(chunk.subarray(0, SNIFF_BYTES - headBytes));
        headBytes += chunk.length;
      }
      yield chunk;
    }
  }
  try {
    const blob = await blobs.put(Readable.from(withHead(), { objectMode: false }), { maxBytes: packageMax });
    if (blob.size === 0) {
      await blobs.delete(blob.id);
      throw new ApiProblem('package_empty');
    }
    const mediaType = sniffMediaType(Buffer.concat(head));
    const row = { id: blob.id, size: blob.size, sha256: blob.sha256, mediaType };
    return await store.packages.create(row).catch(async (error: unknown) => {
      // Without a row nobody would ever sweep it.
      await blobs.delete(blob.id);
      throw error;
    });
  } catch (error) {
    if (error instanceof BlobTooLarge) throw tooLarge(packageMax);
    throw error;
  }
}

function tooLarge(packageMax: number): ApiProblem {
  return new ApiProblem('package_too_large', { specifically: `It takes up to ${packageMax} bytes.` });
}
