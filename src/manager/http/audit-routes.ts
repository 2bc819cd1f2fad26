import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { auditListSchema, auditQuerySchema, type AuditEntry, type AuditQuery } from '../../contract/api.ts';
import type { AuditFilter, AuditStore, AuditEntry as AuditRow } from '../../store/index.ts';
import { chooseMediaType } from './accept.ts';
import { requireScope } from './access.ts';
import { AUDIT_PAGE_DEFAULT, AUDIT_PAGE_MAX } from './limits.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';

const JSON_TYPE = 'application/json';
const LINES_TYPE = 'application/x-ndjson';

/** Lines are sent as they are read; the forms are for the reader of the API's description. */
const auditAnswer = {
  description: 'A page, or the entries, in the form that Accept chose',
  content: Object.fromEntries<{ schema: z.ZodType }>([
    [JSON_TYPE, { schema: auditListSchema }],
    [LINES_TYPE, { schema: z.string() }],
  ]),
};

/** Adds `GET /api/v1/audit`: a page as JSON, or all that is asked for as lines. */
export function addAuditRoutes(app: FastifyInstance, { store, tokens }: HttpDependencies): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/audit',
    {
      onRequest: requireScope(tokens, 'admin'),
      schema: {
        summary: 'Who did what, newest first',
        description:
          'Accept chooses the form: application/json, a page; or application/x-ndjson, an entry a line, all of them unless limit says otherwise.',
        tags: ['audit'],
        querystring: auditQuerySchema,
        response: {
          200: auditAnswer,
          ...problems(400, 401, 403, 406, 503),
        },
      },
    },
    async (request, reply) => {
      const { limit, cursor, ...asked } = request.query;
      const filter = filterOf(asked);
      const from = cursor === undefined ? {} : { cursor };
      const form = chooseMediaType(request.headers.accept, [JSON_TYPE, LINES_TYPE]);
      if (form === null) throw new ApiProblem('not_acceptable');
      if (form === JSON_TYPE) {
        const page = await store.audit.list(filter, { limit: limit ?? AUDIT_PAGE_DEFAULT, ...from });
        return { entries: page.entries.map(viewEntry), next_cursor: page.nextCursor };
      }
      const lines = Readable.from(readLines(store.audit, filter, limit ?? Infinity, cursor), {
        objectMode: false,
      });
      return reply.header('cache-control', 'no-store').type(`${LINES_TYPE}; charset=utf-8`).send(lines);
    },
  );
}

function filterOf({ since, until, ...names }: Omit<AuditQuery, 'limit' | 'cursor'>): AuditFilter {
  return {
    ...names,
    since: since === undefined ? undefined : new Date(since),
    until: until === undefined ? undefined : new Date(until),
  };
}

async function* readLines(
  audit: AuditStore,
  filter: AuditFilter,
  limit: number,
  from: string | undefined,
): AsyncGenerator<string> {
  for (let left = limit, cursor = from; left > 0;) {
    const page = await audit.list(filter, {
      limit: Math.min(left, AUDIT_PAGE_MAX),
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield page.entries.map((entry) => `${JSON.stringify(viewEntry(entry))}\n`).join('');
    if (page.nextCursor === null) return;
    cursor = page.nextCursor;
    left -= page.entries.length;
  }
}

function viewEntry({ id, at, actor, address, action, object, detail }: AuditRow): AuditEntry {
  return { id, at: at.toISOString(), actor, address, action, object, detail: { ...detail } };
}
