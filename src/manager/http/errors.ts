import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { DatabaseAway, DatabaseFull } from '../../store/index.ts';
import { RETRY_AFTER_SECONDS } from './limits.ts';
import { ApiProblem, type ProblemCode } from './problems.ts';
import { validationProblem } from './validation.ts';

/** Every failure of a request becomes one problem of the catalogue here. */

/** Errors of fastify and its plugins that are the caller's to mend, and of the system that are the operator's. Their own messages may quote the body, so they are not used. */
const KNOWN: Readonly<Record<string, ProblemCode>> = {
  // The folder of packages and logs.
  ENOSPC: 'store_full',
  EDQUOT: 'store_full',
  FST_ERR_CTP_INVALID_JSON_BODY: 'json_invalid',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'json_invalid',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_invalid',
  FST_ERR_CTP_INSTANCE_ALREADY_STARTED: 'internal',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'multipart_invalid',
  FST_INVALID_JSON_FIELD_ERROR: 'json_invalid',
  FST_PROTO_VIOLATION: 'multipart_invalid',
  FST_PARTS_LIMIT: 'multipart_invalid',
  FST_FILES_LIMIT: 'multipart_invalid',
  FST_FIELDS_LIMIT: 'multipart_invalid',
  FST_REQ_FILE_TOO_LARGE: 'package_too_large',
  FST_MP_PREMATURE_CLOSE: 'multipart_invalid',
};

/** The problem that an error is to the caller. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof DatabaseAway) {
    const code = error instanceof DatabaseFull ? 'store_full' : 'store_unavailable';
    return new ApiProblem(code, { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where = error.validationContext ?? 'request';
    return validationProblem(
      error.validation.map(({ instancePath, message = 'is not valid' }) => ({
        path: [where, ...instancePath.split('/').filter((part) => part !== '')],
        message,
      })),
    );
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new ApiProblem(KNOWN[code] ?? 'internal', { cause: error });
}

/**
 * Answers with the problem. Only what nobody thought of is logged as an error, with its stack; that the manager cannot serve now is a
 * warning; a refusal, also for what a server of the caller's said, is information.
 */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const problem = request.raw.readableAborted ? new ApiProblem('request_incomplete') : asProblem(error);
  if (problem.status === 500) {
    request.log.error({ err: error, problem: problem.code }, 'a request failed');
  } else if (problem.status === 503) {
    request.log.warn({ problem: problem.code, reason: error.message }, 'a request could not be served');
  } else {
    request.log.info({ problem: problem.code }, 'a request was refused');
  }
  sendProblem(problem, reply);
}

/** Answers with this problem. */
export function sendProblem(problem: ApiProblem, reply: FastifyReply): void {
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="quay-build-manager"');
  if (problem.retryAfterSeconds !== undefined) void reply.header('retry-after', problem.retryAfterSeconds);
  void reply
    .code(problem.status)
    .type('application/json')
    .serializer(JSON.stringify)
    .send(problem.toProblem());
}
