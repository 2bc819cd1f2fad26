import type { SwaggerOptions } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { buildRequestSchema, problemSchema } from '../../contract/api.ts';

/** What `/openapi.json` says beyond the routes' own schemas. */

/** The responses of a route that refuses with these statuses. */
export function problems(...statuses: readonly number[]): Record<number, typeof problemSchema> {
  return Object.fromEntries(statuses.map((status) => [status, problemSchema]));
}

/** For `@fastify/swagger`. `version` is the package's. */
export function openApiOptions(version: string): SwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'quay-build-manager',
        description: 'Submit builds, follow their logs, look at workers. docs/api.md shows how.',
        version,
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }, {}],
    },
    transform: (document) => {
      const { schema, url } = jsonSchemaTransform(document);
      // The body of a submitted build has two forms, of which the type provider knows none.
      return schema.operationId === 'submitBuild'
        ? { schema: { ...schema, body: submitBody() }, url }
        : { schema, url };
    },
  };
}

function submitBody(): object {
  const request = z.toJSONSchema(buildRequestSchema, { io: 'input', target: 'draft-2020-12' });
  delete request.$schema;
  return {
    content: {
      'application/json': { schema: request },
      'multipart/form-data': {
        schema: {
          type: 'object',
          required: ['request'],
          properties: {
            request,
            package: {
              type: 'string',
              format: 'binary',
              description: 'A tar, tar.gz or zip archive, or a lone Dockerfile.',
            },
          },
        },
      },
    },
  };
}
