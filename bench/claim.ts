import pg from 'pg';
import pino from 'pino';
import { startDatabaseServer, type LabDatabaseServer } from '../lab/database.ts';
import { openStore, type BlobStore, type Store } from '../src/store/index.ts';
import { median, timed, type Row } from './row.ts';

const MANY = 1_000_000;
const FEW = 1000;
const ROUNDS = 8;
const CLAIMS = 50;

/** No log is packed here. */
const noBlobs: BlobStore = {
  put: refuse,
  open: refuse,
  read: refuse,
  delete: refuse,
  list: refuse,
  sweep: refuse,
};

/**
 * A claim while a million builds wait, against one while a thousand do: of 20 namespaces, one of which has half of them, with
 * priorities, and a third of them asking for a label that the worker does not have. In turn, on two databases of one server.
 */
export async function benchClaim(): Promise<Row[]> {
  await using server = await startDatabaseServer();
  await using many = await openQueue(server, MANY);
  await using few = await openQueue(server, FEW);
  const times = { many: [] as number[], few: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    times.many.push(...(await claimSome(many.store)));
    times.few.push(...(await claimSome(few.store)));
  }
  const value = median(times.many) / median(times.few);
  return [
    {
      name: 'a claim with a million builds waiting',
      value,
      unit: 'x',
      baseline: `with a thousand: ${median(times.few).toFixed(2)} ms, with a million: ${median(times.many).toFixed(2)} ms`,
      goal: '≤ 2',
      met: value <= 2,
    },
  ];
}

async function claimSome(store: Store): Promise<number[]> {
  const times: number[] = [];
  for (let claims = 0; claims < CLAIMS; claims += 1) {
    times.push(
      await timed(async () => {
        const claim = await store.leases.claim({
          manager: 'bench',
          worker: { id: 'worker', slot: 0, realm: 'realm' },
          kinds: ['image'],
          extensions: [],
          leaseSeconds: 3600,
        });
        if (claim === null) throw new Error('there was nothing to claim');
      }),
    );
  }
  return times;
}

async function openQueue(
  server: LabDatabaseServer,
  builds: number,
): Promise<AsyncDisposable & { readonly store: Store }> {
  const { url } = await server.createDatabase();
  const client = new pg.Client(url);
  await client.connect();
  // Nobody listens, and each row is whole: the triggers would take most of the time.
  await client.query('alter table builds disable trigger user');
  await client.query(
    `insert into builds
      (id, kind, spec, namespace, repository, registry, tag_names, submitted_by, priority, worker_labels, demand)
    select
      gen_random_uuid(), 'image', '{}', space, space || '/app-' || n % 50, 'registry.example', '{latest}', 'bench', n % 5,
      case when n % 3 = 0 then '{zone=north}'::text[] else '{}' end, md5((n % 3 = 0)::text)::uuid
    from
      generate_series(1, $1) as n,
      lateral (select 'space-' || case when n % 2 = 0 then 0 else n % 20 end as space) as named`,
    [builds],
  );
  await client.query('alter table builds enable trigger user');
  await client.query('vacuum analyze');
  await client.end();
  const store = await openStore({
    databaseUrl: url,
    dataDirectory: '',
    blobs: noBlobs,
    log: pino({ level: 'silent' }),
  });
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

function refuse(): never {
  throw new Error('this benchmark has no blobs');
}
