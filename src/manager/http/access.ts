import { isIP } from 'node:net';
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Actor } from '../../store/index.ts';
import type { ApiCaller, ApiScope, ApiTokens } from './api-tokens.ts';
import { ApiProblem } from './problems.ts';

/** Who may call what: a bearer token with a scope, or, where the manager is open, anyone who is no foreign page. */

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by {@link requireScope}. */
    caller: ApiCaller | null;
  }
}

const OPEN_CALLER: ApiCaller = { name: 'anonymous', scopes: ['admin'] };
const BEARER = /^Bearer +([\x21-\x7e]{1,512}) *$/i;

/** A hook that lets through who holds this scope, and remembers who it was. */
export function requireScope(tokens: ApiTokens | null, scope: ApiScope): onRequestAsyncHookHandler {
  return async (request) => {
    if (tokens === null) {
      refuseForeignPages(request);
      request.caller = OPEN_CALLER;
      return;
    }
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1];
    const caller = token === undefined ? null : await tokens.authenticate(token);
    if (caller === null) throw new ApiProblem('unauthorized');
    if (!caller.scopes.includes(scope) && !caller.scopes.includes('admin')) {
      throw new ApiProblem('forbidden', { specifically: `It lacks the scope ${scope}.` });
    }
    request.caller = caller;
  };
}

/** Whom the audit trail names for a request which {@link requireScope} let through. */
export function actorOf(request: FastifyRequest): Actor {
  if (request.caller === null) throw new Error('the route asks for no scope');
  return { name: request.caller.name, address: request.ip };
}

/**
 * A browser on this machine reaches an open manager too. A page of another origin is told by `Origin`; one whose name was
 * made to resolve to this address (DNS rebinding), by a `Host` that is a name other than localhost.
 */
function refuseForeignPages(request: FastifyRequest): void {
  const { host = '', origin } = request.headers;
  const url = URL.parse(`http://${host}`);
  if (!url || !isAddressOrLocalhost(url.hostname)) throw new ApiProblem('host_refused');
  if (origin !== undefined && URL.parse(origin)?.host !== url.host) throw new ApiProblem('origin_refused');
}

function isAddressOrLocalhost(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '');
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost');
}
