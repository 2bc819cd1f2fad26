import { GrpcError, grpcStatus, unary, type GrpcHandler } from './grpc.ts';
import { getSecretRequest, getSecretResponse } from './protobuf.ts';

/** `moby.buildkit.secrets.v1.Secrets/GetSecret`: the secrets that steps mount. The engine keeps them in memory, for a step at a time. */
export function secretsService(secrets: ReadonlyMap<string, string>): readonly [string, GrpcHandler][] {
  return [
    [
      '/moby.buildkit.secrets.v1.Secrets/GetSecret',
      unary((request) => {
        const { id } = getSecretRequest.decode(request);
        const value = secrets.get(id);
        if (value === undefined) {
          throw new GrpcError(grpcStatus.notFound, `this build was given no secret ${id}`);
        }
        return getSecretResponse.encode({ data: Buffer.from(value) });
      }),
    ],
  ];
}
