import { fastify, LogController } from 'fastify';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { answerError } from '../../../src/manager/http/errors.ts';
import { ApiProblem } from '../../../src/manager/http/problems.ts';
import { DatabaseAway, DatabaseFull } from '../../../src/store/index.ts';

const lineSchema = z.looseObject({ level: z.number(), msg: z.string() });
const { info, warn, error } = pino.levels.values as Record<'info' | 'warn' | 'error', number>;

const failures: readonly { thrown: Error; status: number; level: number }[] = [
  { thrown: new ApiProblem('request_invalid'), status: 400, level: info },
  {
    thrown: new ApiProblem('git_unreachable', { specifically: 'Git says: no route' }),
    status: 502,
    level: info,
  },
  { thrown: new DatabaseAway('no answer'), status: 503, level: warn },
  { thrown: new DatabaseFull('no room'), status: 503, level: warn },
  { thrown: Object.assign(new Error('no room'), { code: 'ENOSPC' }), status: 503, level: warn },
  { thrown: new TypeError('what nobody thought of'), status: 500, level: error },
];

it.each(failures)(
  '$thrown is answered with $status and logged as what it is',
  async ({ thrown, status, level }) => {
    let logged = '';
    await using app = fastify({
      loggerInstance: pino({}, { write: (line) => (logged += line) }),
      logController: new LogController({ disableRequestLogging: true }),
    });
    app.setErrorHandler(answerError);
    app.get('/', () => Promise.reject(thrown));
    expect((await app.inject('/')).statusCode).toBe(status);
    expect(lineSchema.parse(JSON.parse(logged))).toMatchObject({ level });
    expect(logged.includes('"stack"')).toBe(level === error);
    if (level !== info) expect(logged).toContain(thrown.message);
  },
);
