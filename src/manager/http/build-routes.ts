import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  buildListQuerySchema,
  buildListSchema,
  buildRequestSchema,
  buildSchema,
} from '../../contract/api.ts';
import { actorOf, requireScope } from './access.ts';
import { JSON_BODY_MAX, PACKAGE_MAX_DEFAULT } from './limits.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';
import { logAs } from './request-log.ts';
import { receiveBuild, type UploadedBuild } from './upload.ts';
import { issuesProblem } from './validation.ts';

/** Adds submitting, looking at, listing and cancelling builds. */
export function addBuildRoutes(app: FastifyInstance, dependencies: HttpDependencies): void {
  const { store, tokens, submit, views, limits } = dependencies;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const params = z.object({ id: z.string() });

  const receive = async (request: FastifyRequest): Promise<UploadedBuild> => {
    if (request.isMultipart()) {
      return receiveBuild(request, dependencies, limits?.packageMax ?? PACKAGE_MAX_DEFAULT);
    }
    const parsed = buildRequestSchema.safeParse(request.body);
    if (!parsed.success) throw issuesProblem(parsed.error.issues, 'body');
    return { request: parsed.data, uploaded: null };
  };

  routes.post(
    '/api/v1/builds',
    {
      onRequest: requireScope(tokens, 'write'),
      bodyLimit: JSON_BODY_MAX,
      schema: {
        operationId: 'submitBuild',
        summary: 'Submit a build',
        description:
          'JSON, or multipart/form-data with the same JSON as the part request and then the file as package.',
        tags: ['builds'],
        response: {
          200: buildSchema,
          201: buildSchema,
          ...problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 502, 503),
        },
      },
    },
    async (request, reply) => {
      const { request: build, uploaded } = await receive(request);
      try {
        const { build: row, isNew } = await submit(build, uploaded, actorOf(request));
        logAs(request, { build: row.id });
        if (isNew) request.log.info({ submittedBy: row.submittedBy }, 'a build was submitted');
        else {
          request.log.info('a build with its dedupe_key was there');
          if (uploaded) await dependencies.blobs.delete(uploaded.id);
        }
        return await reply
          .code(isNew ? 201 : 200)
          .header('location', `/api/v1/builds/${row.id}`)
          .send(await views.one(row));
      } catch (error) {
        // Where the database went away in mid-answer the build may be there: its package stays, and is swept if it is not.
        if (uploaded && error instanceof ApiProblem) await dependencies.blobs.delete(uploaded.id);
        throw error;
      }
    },
  );

  routes.get(
    '/api/v1/builds',
    {
      onRequest: requireScope(tokens, 'read'),
      schema: {
        summary: 'Builds, newest first',
        tags: ['builds'],
        querystring: buildListQuerySchema,
        response: { 200: buildListSchema, ...problems(400, 401, 403, 503) },
      },
    },
    async (request) => {
      const { id_prefix, limit, cursor, state, repository } = request.query;
      const page = await store.builds.list(
        {
          ...(id_prefix === undefined ? {} : { idPrefix: id_prefix }),
          ...(state === undefined ? {} : { state }),
          ...(repository === undefined ? {} : { repository }),
        },
        { limit, ...(cursor === undefined ? {} : { cursor }) },
      );
      return { builds: await views.all(page.builds), next_cursor: page.nextCursor };
    },
  );

  routes.get(
    '/api/v1/builds/:id',
    {
      onRequest: requireScope(tokens, 'read'),
      schema: {
        summary: 'A build and its tries',
        tags: ['builds'],
        params,
        response: { 200: buildSchema, ...problems(401, 403, 404, 503) },
      },
    },
    async (request) => {
      const row = await store.builds.get(knownId(request.params.id));
      if (row === null) throw new ApiProblem('build_not_found');
      return await views.one(row);
    },
  );

  routes.post(
    '/api/v1/builds/:id/cancel',
    {
      onRequest: requireScope(tokens, 'write'),
      schema: {
        summary: 'Cancel a build; again is no error',
        tags: ['builds'],
        params,
        response: { 200: buildSchema, ...problems(401, 403, 404, 409, 503) },
      },
    },
    async (request) => {
      const id = knownId(request.params.id);
      const by = actorOf(request);
      const answer = await store.builds.cancel(id, by.name, by.address);
      const row = answer && (await store.builds.get(id));
      if (!row) throw new ApiProblem('build_not_found');
      if (answer.state !== 'cancelled') {
        throw new ApiProblem('build_ended', { specifically: `It is ${answer.state}.` });
      }
      if (answer.cancelled) request.log.info({ cancelledBy: by.name }, 'a build was cancelled');
      return await views.one(row);
    },
  );
}

/** What is no UUID is no build's id, and no text for the database. */
function knownId(id: string): string {
  if (!z.uuid().safeParse(id).success) throw new ApiProblem('build_not_found');
  return id;
}
