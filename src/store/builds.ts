import { buildStates, type BuildState } from '../contract/phases.ts';
import type { Database, Run } from './database.ts';
import { NamespaceFull, PackageNotPending } from './errors.ts';
import type { BuildRow, BuildStore, BuildWithTries, NewBuild, StepRow, TryRow } from './ports/builds.ts';
import { statement } from './statements.ts';
import { toJsonb } from './values.ts';

const submitBuild = statement<
  [
    id: string,
    kind: string,
    spec: string | null,
    namespace: string,
    repository: string,
    registry: string,
    tagNames: readonly string[],
    submittedBy: string,
    requiredExtensions: readonly string[],
    maxTries: number,
    notBefore: Date | null,
    priority: number,
    parentId: string | null,
    platform: string | null,
    dedupeKey: string | null,
    secrets: Uint8Array | null,
    packageId: string | null,
    submittedFrom: string | null,
    workerLabels: readonly string[],
    exclusive: boolean,
    defaultMaxWaiting: number | null,
  ],
  StoredBuild
>('submit-build');
const findDuplicate = statement<[id: string, namespace: string, dedupeKey: string | null], { id: string }>(
  'find-duplicate-build',
);
const waitingLimit = statement<[namespace: string, defaultMaxWaiting: number | null], { limit: number }>(
  'waiting-limit',
);
const getBuilds = statement<[ids: readonly string[]], StoredBuild>('get-builds');
const getTries = statement<[ids: readonly string[]], TryRow>('get-tries');
const getSteps = statement<[id: string], StepRow>('get-steps');
type BuildPage = [
  state: string | null,
  repository: string | null,
  namespace: string | null,
  before: number | null,
  limit: number,
];
const listBuilds = statement<BuildPage, StoredBuild>('list-builds');
const findBuilds = statement<[firstId: string, lastId: string, ...BuildPage], StoredBuild>('find-builds');
const countBuilds = statement<[], { state: BuildState; count: number; oldestSeconds: number | null }>(
  'count-builds',
);
const cancelBuild = statement<
  [id: string, by: string, from: string | null],
  { state: BuildState; cancelled: boolean }
>('cancel-build');

interface StoredBuild extends BuildRow {
  readonly ordinal: number;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const CURSOR = /^\d{1,15}$/;

const DEFAULT_MAX_TRIES = 3;

/** The port's implementation. */
export function createBuildStore({ run }: Database): BuildStore {
  return {
    async submit(build) {
      const { id, namespace, dedupeKey = null, packageId = null, defaultMaxWaiting = null } = build;
      for (;;) {
        const [submitted] = await insert(run, build);
        if (submitted) return { ...submitted, tries: [] };
        const [duplicate] = await run(findDuplicate, [id, namespace, dedupeKey]);
        const [row] = duplicate ? await withTries(run, await run(getBuilds, [[duplicate.id]])) : [];
        if (row) return row;
        const [full] = await run(waitingLimit, [namespace, defaultMaxWaiting]);
        if (full) throw new NamespaceFull(namespace, full.limit);
        if (packageId !== null) throw new PackageNotPending(packageId);
        // What was in the way has ended between the two statements.
      }
    },

    async get(id) {
      if (!UUID.test(id)) return null;
      const [row] = await withTries(run, await run(getBuilds, [[id]]));
      return row ?? null;
    },

    async list({ idPrefix = '', state = null, repository = null, namespace = null }, { limit, cursor }) {
      const ids = idsThatBegin(idPrefix);
      if (ids === null || (cursor !== undefined && !CURSOR.test(cursor)))
        return { builds: [], nextCursor: null };
      const before = cursor === undefined ? null : Number(cursor);
      const filter: BuildPage = [state, repository, namespace, before, limit + 1];
      const rows =
        idPrefix === '' ? await run(listBuilds, filter) : await run(findBuilds, [...ids, ...filter]);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return {
        builds: await withTries(run, page),
        nextCursor: rows.length > limit && last ? String(last.ordinal) : null,
      };
    },

    async counts() {
      const rows = await run(countBuilds, []);
      const counted = new Map(rows.map((row) => [row.state, row]));
      const count = (state: BuildState): number => counted.get(state)?.count ?? 0;
      return {
        byState: Object.fromEntries(buildStates.map((state) => [state, count(state)])) as Record<
          BuildState,
          number
        >,
        oldestWaitingSeconds: counted.get('waiting')?.oldestSeconds ?? null,
      };
    },

    async steps(id) {
      return UUID.test(id) ? run(getSteps, [id]) : [];
    },

    async cancel(id, by, from = null) {
      if (!UUID.test(id)) return null;
      const [row] = await run(cancelBuild, [id, by, from]);
      if (!row) return null;
      return { state: row.cancelled ? 'cancelled' : row.state, cancelled: row.cancelled };
    },
  };
}

/** The least and the greatest id that begin like this, or null when none can. */
function idsThatBegin(prefix: string): [first: string, last: string] | null {
  const [first, last] = ['0', 'f'].map(
    (digit) => prefix + '########-####-####-####-############'.replaceAll('#', digit).slice(prefix.length),
  );
  return first !== undefined && last !== undefined && UUID.test(first) ? [first, last] : null;
}

function insert(run: Run, build: NewBuild): Promise<readonly StoredBuild[]> {
  return run(submitBuild, [
    build.id,
    build.kind,
    toJsonb(build.spec),
    build.namespace,
    build.repository,
    build.registry,
    build.tagNames,
    build.submittedBy,
    build.requiredExtensions ?? [],
    build.maxTries ?? DEFAULT_MAX_TRIES,
    build.notBefore ?? null,
    build.priority ?? 0,
    build.parentId ?? null,
    build.platform ?? null,
    build.dedupeKey ?? null,
    build.secrets,
    build.packageId ?? null,
    build.submittedFrom ?? null,
    build.workerLabels ?? [],
    build.exclusive ?? false,
    build.defaultMaxWaiting ?? null,
  ]);
}

async function withTries(run: Run, rows: readonly StoredBuild[]): Promise<readonly BuildWithTries[]> {
  const tries = rows.length === 0 ? [] : await run(getTries, [rows.map(({ id }) => id)]);
  const byBuild = Map.groupBy(tries, ({ buildId }) => buildId);
  return rows.map((row) => ({ ...row, tries: byBuild.get(row.id) ?? [] }));
}
