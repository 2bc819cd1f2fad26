import type { FastifyInstance, FastifyReply } from 'fastify';
import { FORM_BODY_MAX } from './limits.ts';
import { ApiProblem } from './problems.ts';
import type { RegistryTokenServer, TokenRequest } from '../registry/token-server.ts';

/** The token server's face (Docker Registry v2 "Token Authentication Specification", and its OAuth2 form by POST). */

const FORM = 'application/x-www-form-urlencoded';
const BASIC = /^Basic +([A-Za-z0-9+/=]{1,2048}) *$/i;

/** Adds `/registry/token` and `/registry/certificates.pem`. */
export function addRegistryRoutes(app: FastifyInstance, server: RegistryTokenServer | null): void {
  const answer = async (request: TokenRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (server === null) throw new ApiProblem('not_found');
    const result = await server.answer(request);
    void reply.header('cache-control', 'no-store');
    if (result === 'wrong-service') {
      return reply
        .code(400)
        .send(registryError('UNSUPPORTED', 'this service is not one whose tokens are issued here'));
    }
    if (result === 'denied') {
      void reply.header('www-authenticate', 'Basic realm="quay-build-manager"');
      return reply
        .code(401)
        .send(registryError('UNAUTHORIZED', 'the credentials are wrong, or their try has ended'));
    }
    return reply.send(result);
  };

  app.register((scope, _options, done) => {
    scope.addContentTypeParser(
      FORM,
      { parseAs: 'string', bodyLimit: FORM_BODY_MAX },
      (_request, body, parsed) => parsed(null, new URLSearchParams(String(body))),
    );
    scope.get('/registry/token', { schema: { hide: true } }, async (request, reply) => {
      const query = new URL(request.url, 'http://manager').searchParams;
      const credentials = basicCredentials(request.headers.authorization);
      return answer(
        { service: query.get('service') ?? '', scopes: query.getAll('scope'), credentials },
        reply,
      );
    });
    scope.post('/registry/token', { schema: { hide: true } }, async (request, reply) => {
      const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
      const username = form.get('username');
      const password = form.get('password');
      const credentials =
        form.get('grant_type') === 'password' && username !== null && password !== null
          ? { username, password }
          : basicCredentials(request.headers.authorization);
      return answer({ service: form.get('service') ?? '', scopes: form.getAll('scope'), credentials }, reply);
    });
    done();
  });

  app.get('/registry/certificates.pem', { schema: { hide: true } }, async (_request, reply) => {
    if (server === null) throw new ApiProblem('not_found');
    return reply.type('application/x-pem-file').send(await server.certificates());
  });
}

function basicCredentials(header: string | undefined): TokenRequest['credentials'] {
  const encoded = BASIC.exec(header ?? '')?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** An error in the registry's own form (OCI distribution specification, "Error Codes"). */
function registryError(code: string, message: string): { errors: { code: string; message: string }[] } {
  return { errors: [{ code, message }] };
}
