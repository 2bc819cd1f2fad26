import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Dispatcher } from 'undici';
import { BuildError } from '../../../contract/build-errors.ts';
import { formatBytes } from '../../../contract/words.ts';
import { HEAD_BYTES } from '../archive/kind.ts';
import type { SourceLimits } from '../limits.ts';
import type { SourceCall } from '../source.ts';
import type { PackageAddress } from './address.ts';
import { asPassing, type PassingFailure } from './passing-failure.ts';

/** A package on its way from a server. */
export interface PackageBody {
  /** The server's Content-Type, or null. */
  readonly contentType: string | null;
  /** How long the server says it is, in bytes, or null. It is broken when it is shorter. */
  readonly length: number | null;
  /** The first bytes, at most {@link HEAD_BYTES}; rejects when they do not come. */
  readonly head: Promise<Uint8Array>;
  /** All of it, the head too. Fails with a BuildError `cannotextractbuildpack` at the limit. */
  readonly content: Readable;
  /** Why no more of it comes, or null while it does. */
  readonly broken: () => PassingFailure | null;
}

/** How often progress is told, in bytes. */
const PROGRESS_EVERY = 1024 * 1024;

/** Reads an answer's body, and tells how far it is. Throws as the content fails where its length alone is over the limit. */
export function openBody(
  response: Dispatcher.ResponseData,
  address: PackageAddress,
  call: SourceCall,
  limits: SourceLimits,
): PackageBody {
  const length = contentLength(response);
  const tooLarge = (): BuildError =>
    new BuildError(
      'cannotextractbuildpack',
      `The package is larger than ${formatBytes(limits.packageBytes)}. Leave out what the build does not need.`,
    );
  if (length !== null && length > limits.packageBytes) {
    response.body.destroy();
    throw tooLarge();
  }

  const head = Promise.withResolvers<Uint8Array>();
  const first: Uint8Array[] = [];
  let current = 0;
  let told = 0;
  let broken: PassingFailure | null = null;

  const progress = async (): Promise<void> => {
    told = current;
    const progressDetail = length === null ? { current } : { current, total: length };
    await call.onMessage({ status: 'Downloading', id: 'package', progressDetail });
  };
  const look = (chunk: Uint8Array): void => {
    if (current < HEAD_BYTES) first.push(chunk.subarray(0, HEAD_BYTES - current));
    current += chunk.length;
    if (current >= HEAD_BYTES) head.resolve(Buffer.concat(first));
  };
  const content = new Transform({
    transform: (chunk: Uint8Array, _encoding, done) => {
      look(chunk);
      if (current > limits.packageBytes) done(tooLarge());
      else if (current - told < PROGRESS_EVERY) done(null, chunk);
      else progress().then(() => done(null, chunk), done);
    },
    flush: (done) => {
      head.resolve(Buffer.concat(first));
      progress().then(() => done(), done);
    },
  });
  content.once('close', () => head.reject(content.errored));
  head.promise.catch(() => undefined);
  response.body.once('error', (error) => {
    // One that nobody reads any more ends with an error too.
    if (!content.destroyed) broken = asPassing(error, address, limits);
  });
  // Who reads the content is told of what fails.
  pipeline(response.body, content).catch(() => undefined);

  const type = response.headers['content-type'];
  return {
    contentType: typeof type === 'string' ? type : null,
    length,
    head: head.promise,
    content,
    broken: () => broken,
  };
}

function contentLength(response: Dispatcher.ResponseData): number | null {
  const text = response.headers['content-length'];
  const length = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(length) ? length : null;
}
