import { walkContext } from '../context/walk.ts';
import { GrpcError, grpcStatus, type GrpcHandler } from './grpc.ts';
import { sendTree } from './tree-sender.ts';

/**
 * `moby.filesync.v1.FileSync/DiffCopy`: sends what the engine asks for of these directories, and of their files only those
 * that it has not got. `directories` by the name under which BuildKit asks for them.
 */
export function fileSyncService(directories: ReadonlyMap<string, string>): readonly [string, GrpcHandler][] {
  return [
    [
      '/moby.filesync.v1.FileSync/DiffCopy',
      async (call) => {
        const name = call.metadata('dir-name')[0] ?? '';
        const directory = directories.get(name);
        if (directory === undefined) {
          throw new GrpcError(grpcStatus.notFound, `there is no directory ${name} in this build`);
        }
        const entries = walkContext(directory, {
          include: call.metadata('include-patterns'),
          exclude: call.metadata('exclude-patterns'),
          follow: call.metadata('followpaths'),
        });
        await sendTree(entries, call);
      },
    ],
  ];
}
