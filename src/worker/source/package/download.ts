import { STATUS_CODES } from 'node:http';
import { request, type Dispatcher } from 'undici';
import { BuildError } from '../../../contract/build-errors.ts';
import { ForbiddenAddress } from '../../../contract/network/addresses.ts';
import { createHttpClient, type HttpClient, type Network } from '../../../contract/network/http-client.ts';
import type { SourceLimits } from '../limits.ts';
import type { SourceCall } from '../source.ts';
import { followRedirect, maskUrl, parsePackageAddress, type PackageAddress } from './address.ts';
import { openBody, type PackageBody } from './body.ts';
import { asPassing, PassingFailure } from './passing-failure.ts';

export interface DownloadOptions {
  readonly limits: SourceLimits;
  readonly network: Network;
  /** Waits, and rejects with the signal's reason when it is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A number from 0 up to 1: spreads the retries of workers that failed together. */
  readonly random: () => number;
}

/** Statuses that may pass by themselves. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/**
 * Fetches a package, and hands it to `take` as it comes; answers with what that answers. What may pass is tried again, with growing waits,
 * and taken again from its beginning. Throws a BuildError `buildpackissue` that names the server and what it did,
 * `cannotextractbuildpack` for a package over the limit, and what `take` throws.
 */
export async function downloadPackage<Taken>(
  address: string,
  call: SourceCall,
  options: DownloadOptions,
  take: (body: PackageBody) => Promise<Taken>,
): Promise<Taken> {
  const { limits } = options;
  const start = parsePackageAddress(address);
  await using client = createHttpClient(options.network, limits, call.signal);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetchOnce(start, client, call, limits, take);
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

async function fetchOnce<Taken>(
  start: PackageAddress,
  client: HttpClient,
  call: SourceCall,
  limits: SourceLimits,
  take: (body: PackageBody) => Promise<Taken>,
): Promise<Taken> {
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
    const body = openBody(response, address, call, limits);
    try {
      return await take(body);
    } catch (error) {
      throw body.broken() ?? error;
    } finally {
      response.body.destroy();
    }
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
