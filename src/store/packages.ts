import type { Database } from './database.ts';
import { DELETED_AT_ONCE } from './limits.ts';
import type { PackageRow, PackageStore } from './ports/packages.ts';
import { statement } from './statements.ts';

const createPackage = statement<[id: string, size: number, sha256: string, mediaType: string], PackageRow>(
  'create-package',
  { repeatable: false },
);
const findPackage = statement<[id: string], PackageRow>('find-package');
const findPackageOfBuild = statement<[buildId: string], PackageRow>('find-package-of-build');
const condemnPackages = statement<
  [pendingSeconds: number, endedSeconds: number, limit: number],
  { id: string }
>('condemn-packages');
const forgetPackages = statement<[ids: readonly string[]]>('forget-packages');

/** The port's implementation. */
export function createPackageStore({ run }: Database): PackageStore {
  return {
    async create({ id, size, sha256, mediaType }) {
      const [row] = await run(createPackage, [id, size, sha256, mediaType]);
      if (!row) throw new Error('The package was not written.');
      return row;
    },
    async find(id) {
      const [row] = await run(findPackage, [id]);
      return row ?? null;
    },
    async findOfBuild(buildId) {
      const [row] = await run(findPackageOfBuild, [buildId]);
      return row ?? null;
    },
    async condemn({ pendingSeconds, endedSeconds }) {
      return (await run(condemnPackages, [pendingSeconds, endedSeconds, DELETED_AT_ONCE])).map(
        ({ id }) => id,
      );
    },
    async forget(ids) {
      if (ids.length > 0) await run(forgetPackages, [ids]);
    },
  };
}
