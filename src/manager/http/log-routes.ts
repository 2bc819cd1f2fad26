import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  LOG_START,
  logQuerySchema,
  parseLogPosition,
  type LogPosition,
  type LogRecord,
} from '../../contract/api.ts';
import { chooseMediaType } from './accept.ts';
import { requireScope } from './access.ts';
import {
  CONNECTION_IDLE_MS,
  LOG_KEEP_ALIVE_MS,
  LOG_PAGE_RECORDS,
  RETRY_AFTER_SECONDS,
  VIEWERS_MAX,
} from './limits.ts';
import { asLines, asServerSentEvents, asText, logMediaTypes } from './log-format.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';
import { issuesProblem } from './validation.ts';

const COMMENT = ': still here\n\n';

/** A stream is sent as it is; the forms are for the reader of the API's description. */
const logAnswer = {
  description: 'The log, in the form that Accept chose',
  content: Object.fromEntries(logMediaTypes.map((type) => [type, { schema: z.string() }])),
};

const lastEventIdSchema = z.object({
  'last-event-id': z
    .string()
    .refine((text) => parseLogPosition(text) !== null, 'must be TRY.SEQ, as in the id of an event')
    .optional(),
});

/** Adds `GET /api/v1/builds/{id}/log`, in three forms. Those who follow are let go when the listener closes. */
export function addLogRoutes(app: FastifyInstance, dependencies: HttpDependencies): void {
  const { store, tokens, limits, metrics } = dependencies;
  const viewers = new Set<AbortController>();
  metrics.addProbe(() => metrics.viewers.set(viewers.size));
  app.addHook('preClose', (done) => {
    for (const viewer of viewers) viewer.abort();
    done();
  });

  const follow = (id: string, after: LogPosition, reply: FastifyReply): FastifyReply => {
    if (viewers.size >= (limits?.viewersMax ?? VIEWERS_MAX)) {
      throw new ApiProblem('too_many_viewers', { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    const viewer = new AbortController();
    viewers.add(viewer);
    const stream = Readable.from(serverSentEvents(dependencies, id, after, viewer.signal), {
      objectMode: false,
    });
    const keepAlive = setInterval(() => {
      // Whoever does not read what was sent is sent nothing more.
      if (stream.readableLength === 0 && !stream.readableEnded) stream.push(COMMENT);
    }, limits?.logKeepAlive ?? LOG_KEEP_ALIVE_MS);
    stream.once('close', () => {
      clearInterval(keepAlive);
      viewers.delete(viewer);
    });
    // A follower that waits for the next record would not notice the closed connection.
    reply.raw.once('close', () => viewer.abort());
    reply.raw.setTimeout(CONNECTION_IDLE_MS, () => reply.raw.destroy());
    void reply
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      // Else a connection that idles after it keeps a closing listener waiting.
      .header('connection', 'close')
      .type('text/event-stream');
    return reply.send(stream);
  };

  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/builds/:id/log',
    {
      onRequest: requireScope(tokens, 'read'),
      schema: {
        summary: 'The log of a build',
        description:
          'Accept chooses the form: text/plain, application/x-ndjson (a record a line), or text/event-stream, which follows: events log (id TRY.SEQ), build, and end when the build is final and all was sent.',
        tags: ['builds'],
        params: z.object({ id: z.string() }),
        querystring: logQuerySchema,
        response: { 200: logAnswer, ...problems(400, 401, 403, 404, 406, 503) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const form = chooseMediaType(request.headers.accept, logMediaTypes);
      if (form === null) throw new ApiProblem('not_acceptable');
      const header = lastEventIdSchema.safeParse(request.headers);
      if (!header.success) throw issuesProblem(header.error.issues, 'headers');
      const position = header.data['last-event-id'] ?? request.query.after;
      const after = (position === undefined ? null : parseLogPosition(position)) ?? LOG_START;
      if (!z.uuid().safeParse(id).success || (await store.builds.get(id)) === null) {
        throw new ApiProblem('build_not_found');
      }
      if (form === 'text/event-stream') return follow(id, after, reply);
      const pages = readPages(store.logs, id, after);
      const text = form === 'text/plain' ? asText(pages) : asLines(pages);
      return sendText(text, `${form}; charset=utf-8`, reply);
    },
  );
}

function sendText(text: AsyncIterable<string>, mediaType: string, reply: FastifyReply): FastifyReply {
  void reply.header('cache-control', 'no-store').type(mediaType);
  return reply.send(Readable.from(text, { objectMode: false }));
}

async function* readPages(
  logs: HttpDependencies['store']['logs'],
  id: string,
  after: LogPosition,
): AsyncGenerator<readonly LogRecord[]> {
  let position = after;
  for (let more = true; more;) {
    const page = await logs.read(id, position, LOG_PAGE_RECORDS);
    yield page.records;
    const last = page.records.at(-1);
    if (last) position = { try: last.try, seq: last.seq };
    more = page.more && last !== undefined;
  }
}

async function* serverSentEvents(
  { followLog }: HttpDependencies,
  id: string,
  after: LogPosition,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for await (const event of followLog(id, after, signal)) yield* asServerSentEvents(event);
  if (!signal.aborted) yield* asServerSentEvents({ type: 'end' });
}
