import type { FastifyInstance } from 'fastify';
import { PACKAGE_SCOPE } from '../registry/scopes.ts';
import { hashSecret } from '../secrets/tokens.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';
import { logAs } from './request-log.ts';

/** Adds `GET /packages/{capability}`: where a worker fetches the package of its try. The address is the secret. */
export function addPackageRoutes(app: FastifyInstance, { store, blobs }: HttpDependencies): void {
  app.get<{ Params: { capability: string } }>(
    '/packages/:capability',
    { schema: { hide: true } },
    async (request, reply) => {
      const capability = await store.capabilities.find(hashSecret(request.params.capability));
      if (capability) logAs(request, { build: capability.buildId, try: capability.try });
      const allowed = capability?.scopes.includes(PACKAGE_SCOPE) === true;
      const row = allowed ? await store.packages.findOfBuild(capability.buildId) : null;
      const blob = row && (await blobs.open(row.id));
      if (!row || !blob) throw new ApiProblem('package_not_found');
      void reply.header('content-length', blob.size).header('cache-control', 'no-store').type(row.mediaType);
      return reply.send(blob.content);
    },
  );
}
