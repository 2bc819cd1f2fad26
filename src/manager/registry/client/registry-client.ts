import { isIP } from 'node:net';
import { request, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { HttpClient } from '../../../contract/network/http-client.ts';
import { canonicalRegistry } from '../../../contract/references.ts';
import type { RegistryUser } from '../credentials.ts';
import type { Breaker } from './breaker.ts';
import { readChallenge } from './challenge.ts';
import { ANSWER_MAX, ASKED_AT_ONCE, HOSTS_MAX, TAGS_LISTED } from './limits.ts';

/** Who asks: with a token that the registry takes, as a user, or as nobody. */
export type Access = { readonly token: string } | { readonly user: RegistryUser } | null;

/** A repository of a registry, and who asks. */
interface Asked {
  readonly host: string;
  /** `namespace/name` */
  readonly repository: string;
  readonly access: Access;
}

/** What can be asked of a repository, until the signal aborts. Each fails when there is no answer. */
export interface AskedRepository {
  /** Whether there is an image of this tag that may be pulled (OCI distribution specification, "Checking if content exists"). */
  has(tag: string): Promise<boolean>;
  /** Tags that there are, in the registry's order (the same, "Listing Tags"). Empty where they may not be listed. */
  tags(): Promise<readonly string[]>;
}

export interface RegistryClient {
  /**
   * Does some asking. null: the registry failed, now or a moment ago, or is asked too much already; then it is left alone for a while.
   * What is asked must end with the signal.
   */
  ask<T>(
    asked: Asked,
    work: (repository: AskedRepository) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T | null>;
  /** Whether the registry takes this token at all. Fails when there is no answer. */
  takes(host: string, token: string, signal: AbortSignal): Promise<boolean>;
}

export interface RegistryClientOptions {
  /** The way to a registry, by its host. */
  readonly clientFor: (host: string) => HttpClient;
  /** Where a registry is asked instead of at its name; null for there. */
  readonly urlOf: (host: string) => URL | null;
  /** Whether a registry may be asked by plain http at its name. */
  readonly isInsecure: (host: string) => boolean;
  readonly breaker: Breaker;
  readonly logger: { debug(fields: object, message: string): void };
}

const MANIFESTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
/** The hub's API is not at the name that images have. */
const HUB_API = 'registry-1.docker.io';
const NOT_THERE: ReadonlySet<number> = new Set([401, 403, 404]);

const tokenSchema = z
  .object({ token: z.string().optional(), access_token: z.string().optional() })
  .transform(({ token, access_token }) => token ?? access_token ?? '');
const tagsSchema = z.object({ tags: z.array(z.string()).nullish() });

/** Makes a client of registries, which speaks the OCI distribution specification and Docker's token authentication. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { clientFor, urlOf, isInsecure, breaker, logger } = options;
  const underWay = new Map<string, number>();
  /** Insecure registries that speak no https. */
  const plain = new Set<string>();

  /** The answer's head, and its body, which the caller reads or dumps. */
  const send = async (
    host: string,
    path: string,
    {
      method,
      headers,
      signal,
    }: Pick<Dispatcher.RequestOptions, 'method'> & {
      readonly headers: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
    },
  ): Promise<Dispatcher.ResponseData> => {
    const api = host === 'docker.io' ? HUB_API : host;
    const sendTo = async (base: string): Promise<Dispatcher.ResponseData> => {
      const url = new URL(`${base}${path}`);
      const dispatcher = await clientFor(host).dispatcherFor(url);
      return request(url, { method, headers, signal, dispatcher });
    };
    const sendBy = (scheme: 'http' | 'https'): Promise<Dispatcher.ResponseData> =>
      sendTo(`${scheme}://${api}`);
    const elsewhere = urlOf(host);
    if (elsewhere !== null) return sendTo(elsewhere.href.replace(/\/+$/, ''));
    if (!isInsecure(host)) return sendBy('https');
    if (plain.has(host)) return sendBy('http');
    try {
      return await sendBy('https');
    } catch (error) {
      signal.throwIfAborted();
      const answer = await sendBy('http').catch(() => {
        throw error;
      });
      if (plain.size >= HOSTS_MAX) plain.clear();
      plain.add(host);
      return answer;
    }
  };

  /** What to show, found out by asking as nobody. */
  const authorize = async (
    { host, repository, access }: Asked,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> => {
    if (access !== null && 'token' in access) return { authorization: `Bearer ${access.token}` };
    const answer = await send(host, '/v2/', { method: 'GET', headers: {}, signal });
    await answer.body.dump();
    if (answer.statusCode !== 401) return {};
    const challenge = readChallenge(answer.headers['www-authenticate']);
    const basic = access === null ? {} : { authorization: basicOf(access.user) };
    if (challenge?.scheme !== 'bearer') return basic;
    const realm = URL.parse(challenge.realm);
    // Whoever asks over https is not led to show a password in the clear.
    const isPlain = plain.has(host) || urlOf(host)?.protocol === 'http:';
    if (realm === null || !(realm.protocol === 'https:' || (realm.protocol === 'http:' && isPlain)))
      return {};
    if (challenge.service !== null) realm.searchParams.set('service', challenge.service);
    realm.searchParams.set('scope', `repository:${repository}:pull`);
    const dispatcher = await clientFor(host).dispatcherFor(realm);
    const given = await request(realm, { headers: basic, signal, dispatcher });
    if (given.statusCode !== 200) {
      await given.body.dump();
      return {};
    }
    const token = tokenSchema.parse(JSON.parse(await readBody(given)));
    return token === '' ? {} : { authorization: `Bearer ${token}` };
  };

  return {
    async ask(asked, work, signal) {
      const host = canonicalRegistry(asked.host);
      const others = underWay.get(host) ?? 0;
      if (signal.aborted || breaker.isOpen(host) || others >= ASKED_AT_ONCE) return null;
      underWay.set(host, others + 1);
      try {
        const headers = await authorize({ ...asked, host }, signal);
        const path = `/v2/${asked.repository}`;
        const result = await work({
          async has(tag) {
            const answer = await send(host, `${path}/manifests/${tag}`, {
              method: 'HEAD',
              headers: { ...headers, accept: MANIFESTS },
              signal,
            });
            await answer.body.dump();
            return wasFound(answer);
          },
          async tags() {
            const answer = await send(host, `${path}/tags/list?n=${TAGS_LISTED}`, {
              method: 'GET',
              headers,
              signal,
            });
            if (wasFound(answer)) return tagsSchema.parse(JSON.parse(await readBody(answer))).tags ?? [];
            await answer.body.dump();
            return [];
          },
        });
        breaker.succeeded(host);
        return result;
      } catch (error) {
        breaker.failed(host);
        logger.debug({ registry: host, err: error }, 'a registry did not answer');
        return null;
      } finally {
        const left = (underWay.get(host) ?? 1) - 1;
        if (left === 0) underWay.delete(host);
        else underWay.set(host, left);
      }
    },

    async takes(host, token, signal) {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await send(canonicalRegistry(host), '/v2/', { method: 'GET', headers, signal });
      await answer.body.dump();
      return wasFound(answer);
    },
  };
}

/** `false`: it is not there, or not for who asks. Throws where that is not what the registry says. */
function wasFound({ statusCode }: Dispatcher.ResponseData): boolean {
  if (statusCode === 200) return true;
  if (NOT_THERE.has(statusCode)) return false;
  throw new Error(`the registry answered ${statusCode}`);
}

function basicOf({ username, password }: RegistryUser): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function readBody({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_MAX) throw new Error('the answer of the registry is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Whether engines ask this registry by plain http without being told: it is on the loopback. */
export function isLoopbackRegistry(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}
