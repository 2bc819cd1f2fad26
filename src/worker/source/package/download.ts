import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { STATUS_CODES } from 'node:http';
import { finished } from 'node:stream/promises';
import { request, type Dispatcher } from 'undici';
import { BuildError } from '../../../contract/build-errors.ts';
import { ForbiddenAddress } from '../../../contract/network/addresses.ts';
import { createHttpClient, type HttpClient, type Network } from '../../../contract/network/http-client.ts';
import type { SourceLimits } from '../limits.ts';
import type { SourceCall } from '../source.ts';
import { formatBytes, formatDuration } from '../../../contract/words.ts';
import { HEAD_BYTES } from '../archive/kind.ts';
import { followRedirect, maskUrl, parsePackageAddress, type PackageAddress } from './address.ts';

export interface DownloadOptions {
  readonly limits: SourceLimits;
  readonly network: Network;
  /** Waits, and rejects with the signal's reason when it is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A number from 0 up to 1: spreads the retries of workers that failed together. */
  readonly random: () => number;
}

export interface Download {
  /** The server's Content-Type, or null. */
  readonly contentType: string | null;
  /** The package's first bytes, at most {@link HEAD_BYTES}. */
  readonly head: Uint8Array;
}

/** How often progress is told, in bytes. */
const PROGRESS_EVERY = 1024 * 1024;
/** How much may wait for the disk before no more is read from the server, in bytes. */
const WRITE_BUFFER = 1024 * 1024;
/** Statuses that may pass by themselves. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/** What may go well at the next try; its message is fit for the user. */
class PassingFailure extends Error {}

/**
 * Fetches a package to the file `path`. What may pass is tried again, with growing waits. Throws a BuildError `buildpackissue` that
 * names the server and what it did, and `cannotextractbuildpack` for a package over the limit.
 */
export async function downloadPackage(
  address: string,
  path: string,
  call: SourceCall,
  options: DownloadOptions,
): Promise<Download> {
  const { limits } = options;
  const start = parsePackageAddress(address);
  await using client = createHttpClient(options.network, limits, call.signal);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetchOnce(start, path, client, call, limits);
    } catch (error) {
      call.signal.throwIfAborted();
      if (!(error instanceof PassingFailure)) throw error;
      if (attempt >= limits.tries) {
        throw new BuildError('buildpackissue', `${error.message} (tried ${attempt} times)`, {
          cause: error,
        });
      }
      await call.onMessage({ status: `${error.message}; trying again` });
      await options.wait(limits.retryWaitMs * 2 ** (attempt - 1) * (0.5 + options.random()), call.signal);
    }
  }
}

async function fetchOnce(
  start: PackageAddress,
  path: string,
  client: HttpClient,
  call: SourceCall,
  limits: SourceLimits,
): Promise<Download> {
  let address = start;
  for (let redirects = 0; ; redirects += 1) {
    const response = await ask(address, client, call.signal, limits);
    const { statusCode, headers } = response;
    // A body that nobody reads may fail too, when its connection is closed.
    response.body.on('error', () => undefined);
    const location = headers['location'];
    if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
      response.body.destroy();
      if (redirects >= limits.redirects) {
        throw new BuildError(
          'buildpackissue',
          `${maskUrl(start.url)} redirects more than ${limits.redirects} times.`,
        );
      }
      address = followRedirect(address, location);
      continue;
    }
    if (statusCode !== 200) {
      const message =
        `${maskUrl(address.url)} answered ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`.trimEnd();
      throw PASSING.includes(statusCode)
        ? new PassingFailure(message)
        : new BuildError('buildpackissue', message);
    }
    const type = headers['content-type'];
    const head = await store(response, address, path, call, limits);
    return { contentType: typeof type === 'string' ? type : null, head };
  }
}

async function ask(
  address: PackageAddress,
  client: HttpClient,
  signal: AbortSignal,
  limits: SourceLimits,
): Promise<Dispatcher.ResponseData> {
  try {
    return await request(address.url, {
      dispatcher: await client.dispatcherFor(address.url),
      // A proxy's connections have limits of their own.
      headersTimeout: limits.stallMs,
      bodyTimeout: limits.stallMs,
      signal,
      headers: {
        'user-agent': 'quay-builder',
        accept: '*/*',
        'accept-encoding': 'identity',
        ...(address.authorization === null ? {} : { authorization: address.authorization }),
      },
    });
  } catch (error) {
    if (error instanceof ForbiddenAddress) {
      throw new BuildError('buildpackissue', `${maskUrl(address.url)} is not fetched: ${error.message}.`);
    }
    throw asPassing(error, address, limits);
  }
}

/** Writes the body to disk as it comes, and answers with its first bytes. */
async function store(
  response: Dispatcher.ResponseData,
  address: PackageAddress,
  path: string,
  call: SourceCall,
  limits: SourceLimits,
): Promise<Uint8Array> {
  const total = contentLength(response);
  const tooLarge = (): BuildError =>
    new BuildError(
      'cannotextractbuildpack',
      `The package is larger than ${formatBytes(limits.packageBytes)}. Leave out what the build does not need.`,
    );
  if (total !== null && total > limits.packageBytes) throw tooLarge();

  const progress = async (current: number): Promise<void> => {
    const progressDetail = total === null ? { current } : { current, total };
    await call.onMessage({ status: 'Downloading', id: 'package', progressDetail });
  };
  const file = createWriteStream(path, { mode: 0o600, highWaterMark: WRITE_BUFFER });
  const written = finished(file);
  // What fails here also fails the next write, or the wait at the end.
  written.catch(() => undefined);
  try {
    const head: Uint8Array[] = [];
    let current = 0;
    let told = 0;
    const chunks = response.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        throw asPassing(error, address, limits);
      });
      if (next.done === true) break;
      const chunk = next.value;
      if (current < HEAD_BYTES) head.push(chunk.subarray(0, HEAD_BYTES - current));
      current += chunk.length;
      if (current > limits.packageBytes) throw tooLarge();
      if (!file.write(chunk)) await Promise.race([once(file, 'drain'), written]);
      if (current - told >= PROGRESS_EVERY) {
        told = current;
        await progress(current);
      }
    }
    file.end();
    await written;
    await progress(current);
    return Buffer.concat(head);
  } finally {
    response.body.destroy();
    file.destroy();
    // Closed before the next try opens it. Not by `once`, which writes that were given up would make fail.
    if (!file.closed) await new Promise<void>((resolve) => file.once('close', resolve));
  }
}

function contentLength(response: Dispatcher.ResponseData): number | null {
  const text = response.headers['content-length'];
  const length = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(length) ? length : null;
}

/** Why a connection failed, in words that hold nothing of the URL but its origin. */
function asPassing(error: unknown, { url }: PackageAddress, limits: SourceLimits): PassingFailure {
  const code = codeOf(error);
  const where = maskUrl(url);
  if (error instanceof Error && error.message.includes('(407)')) {
    return new PassingFailure(`${where} could not be reached: the proxy asks for credentials`);
  }
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return new PassingFailure(
        `${where} could not be connected to within ${formatDuration(limits.connectMs)}`,
      );
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return new PassingFailure(`${where} sent nothing for ${formatDuration(limits.stallMs)}`);
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'ECONNRESET':
      return new PassingFailure(`${where} closed the connection before the package was complete`);
    default:
      return new PassingFailure(`${where} could not be reached (${code})`);
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
