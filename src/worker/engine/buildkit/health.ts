import { unary, type GrpcHandler } from './grpc.ts';
import { healthCheckResponse, SERVING } from './protobuf.ts';

/** `grpc.health.v1.Health/Check`: an engine that gets no answer drops the session after a second. */
export const healthService: readonly [string, GrpcHandler][] = [
  ['/grpc.health.v1.Health/Check', unary(() => healthCheckResponse.encode({ status: SERVING }))],
];
