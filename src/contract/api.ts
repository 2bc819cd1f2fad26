/** The HTTP API's requests and answers, shared by the manager, the command line and the page. Times are ISO 8601, UTC. */
export * from './api/audit.ts';
export * from './api/build-request.ts';
export * from './api/builds.ts';
export * from './api/farm.ts';
export * from './api/logs.ts';
export * from './api/namespaces.ts';
export * from './api/registries.ts';
export * from './api/workers.ts';
