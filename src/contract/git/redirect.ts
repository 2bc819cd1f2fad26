import { request } from 'undici';
import { BuildError } from '../build-errors.ts';
import { ForbiddenAddress } from '../network/addresses.ts';
import { createHttpClient, type Network, type NetworkLimits } from '../network/http-client.ts';
import { parseRemote, type HttpRemote, type Remote } from './remote.ts';

const REFS = '/info/refs';

/**
 * Where a git server redirects to, asked for as git asks. Git itself follows none: it would connect to addresses that nobody has looked at.
 * Credentials go along only within the same origin. Throws a BuildError `gitfailure`.
 */
export async function findRedirect(
  remote: Remote,
  { network, limits, signal }: { network: Network; limits: NetworkLimits; signal: AbortSignal },
): Promise<HttpRemote> {
  if (remote.protocol !== 'http') throw new BuildError('gitfailure', `${remote.url} does not redirect.`);
  const asked = new URL(`${remote.url.replace(/\/+$/, '')}${REFS}?service=git-upload-pack`);
  await using client = createHttpClient(network, limits, signal);
  const fail = (why: string): BuildError => new BuildError('gitfailure', `${remote.url}: ${why}`);
  let location: string | string[] | undefined;
  try {
    const { headers, body } = await request(asked, {
      dispatcher: await client.dispatcherFor(asked),
      signal,
      headers: { 'user-agent': 'git/quay-builder', ...authorization(remote) },
    });
    body.on('error', () => undefined).destroy();
    location = headers['location'];
  } catch (error) {
    signal.throwIfAborted();
    throw fail(error instanceof ForbiddenAddress ? error.message : 'it redirects to what cannot be found');
  }
  const target = typeof location === 'string' ? URL.parse(location, asked.href) : null;
  if (!target?.pathname.endsWith(REFS)) throw fail('it redirects to what is no git repository');
  target.pathname = target.pathname.slice(0, -REFS.length);
  target.search = '';
  target.hash = '';
  target.username = '';
  target.password = '';
  const next = parseRemote(target.href);
  if (next.protocol !== 'http') throw fail('it redirects to what is no git repository');
  const { credentials, secrets } = remote;
  return { ...next, secrets, credentials: next.origin === remote.origin ? credentials : null };
}

function authorization({ credentials }: HttpRemote): Record<string, string> {
  if (credentials === null) return {};
  const { username, password } = credentials;
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}
