import { STATUS_CODES } from 'node:http';
import multipart from '@fastify/multipart';
import swagger from '@fastify/swagger';
import Fastify, { LogController, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { addAuditRoutes } from './audit-routes.ts';
import { addBuildRoutes } from './build-routes.ts';
import { addCredentialRoutes } from './credential-routes.ts';
import { answerError, asProblem, sendProblem } from './errors.ts';
import { addFarmRoutes } from './farm-routes.ts';
import {
  CONNECTION_IDLE_MS,
  HEADERS_MAX,
  HEADERS_TIMEOUT_MS,
  JSON_BODY_MAX,
  KEEP_ALIVE_MS,
  PATH_PARAMETER_MAX,
  REQUEST_TIMEOUT_MS,
} from './limits.ts';
import { addLogRoutes } from './log-routes.ts';
import { measureRequests } from './metrics.ts';
import { openApiOptions } from './openapi.ts';
import { addNamespaceRoutes } from './namespace-routes.ts';
import { noteRoutes } from './other-methods.ts';
import { addPackageRoutes } from './package-routes.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem, type ProblemCode } from './problems.ts';
import { addReadableRoutes } from './readable-routes.ts';
import { addRegistryRoutes } from './registry-routes.ts';
import { addRequestLog } from './request-log.ts';
import { addWorkerRoutes } from './worker-routes.ts';

/**
 * The manager's HTTP listener: the API, packages for workers, the registry's token server, health and metrics. The caller
 * listens and closes; closing lets those go who follow a log, and waits for the other requests.
 */
export async function createHttpServer(dependencies: HttpDependencies): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: dependencies.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: JSON_BODY_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: CONNECTION_IDLE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PATH_PARAMETER_MAX, ignoreTrailingSlash: true },
    http: { maxHeaderSize: HEADERS_MAX, headersTimeout: HEADERS_TIMEOUT_MS },
    onProtoPoisoning: 'remove',
    onConstructorPoisoning: 'remove',
    frameworkErrors: (error, _request, reply) => sendProblem(asProblem(error), reply),
    clientErrorHandler(error, socket) {
      answerBrokenRequest(error.code, (text) => {
        if (socket.writable) socket.end(text);
        else socket.destroy();
      });
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((_request, reply) => sendProblem(new ApiProblem('not_found'), reply));
  app.decorateRequest('caller', null);
  addRequestLog(app);
  measureRequests(app, dependencies.metrics);

  // Read as text it would only be refused as what is no object.
  app.removeContentTypeParser('text/plain');
  await app.register(multipart);
  await app.register(swagger, openApiOptions(dependencies.version));
  const refuseOtherMethods = noteRoutes(app);
  addBuildRoutes(app, dependencies);
  addLogRoutes(app, dependencies);
  addWorkerRoutes(app, dependencies);
  addFarmRoutes(app, dependencies);
  addAuditRoutes(app, dependencies);
  addCredentialRoutes(app, dependencies);
  addNamespaceRoutes(app, dependencies);
  addReadableRoutes(app, dependencies);
  addPackageRoutes(app, dependencies);
  addRegistryRoutes(app, dependencies.registryTokens);
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => reply.send(app.swagger()));
  refuseOtherMethods();
  await app.ready();
  return app;
}

const BROKEN: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** A request that Node could not read: answered on the bare socket. */
function answerBrokenRequest(code: string, end: (text: string) => void): void {
  const problem = new ApiProblem(BROKEN[code] ?? 'http_invalid');
  const body = JSON.stringify(problem.toProblem());
  end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
