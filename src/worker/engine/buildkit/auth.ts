import { credentialsOf } from '../credentials.ts';
import type { RegistryCredentials } from '../engine.ts';
import { unary, type GrpcHandler } from './grpc.ts';
import { credentialsRequest, credentialsResponse } from './protobuf.ts';

/** `moby.filesync.v1.Auth/Credentials`: the credentials of the host that is asked for, to any other an empty answer. */
export function authService(
  credentials: ReadonlyMap<string, RegistryCredentials>,
): readonly [string, GrpcHandler][] {
  return [
    [
      '/moby.filesync.v1.Auth/Credentials',
      unary((request) => {
        const found = credentialsOf(credentials, credentialsRequest.decode(request).host);
        return credentialsResponse.encode(found ? { username: found.username, secret: found.password } : {});
      }),
    ],
  ];
}
