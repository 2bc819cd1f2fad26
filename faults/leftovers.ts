import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { Ground } from './ground.ts';
import type { Leftover } from './observations.ts';
import { runningProcesses } from './processes.ts';

/**
 * What is still there although every build has ended, long ago by {@link letTimePass}. What the managers keep for a while on purpose
 * (realms that somebody may join yet, the logs) counts only when its time is over.
 */
export async function leftoversOf(
  ground: Ground,
  knownImages: ReadonlySet<string>,
): Promise<readonly Leftover[]> {
  return [
    ...(await inDatabase(ground)),
    ...(await onEngines(ground, knownImages)),
    ...(await inFolders(ground)),
  ];
}

/**
 * Makes the ends of all builds, and what is half written, two hours older: packages, which are kept for an hour after that, have to go,
 * and so has what was being written when somebody died.
 */
export async function letTimePass({ databaseUrl, dataDisk }: Ground): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(`update builds set ended_at = ended_at - interval '2 hours'`);
    await client.query(
      `update packages
       set created_at = created_at - interval '2 hours', build_ended_at = build_ended_at - interval '2 hours'`,
    );
  } finally {
    await client.end();
  }
  const incoming = incomingOf(dataDisk.path);
  const earlier = new Date(Date.now() - 2 * 3_600_000);
  for (const name of await readdir(incoming)) await utimes(join(incoming, name), earlier, earlier);
}

/** Where blobs lie while they are written. */
function incomingOf(dataDirectory: string): string {
  return join(dataDirectory, 'blobs', 'incoming');
}

/** What is still there when every worker and manager was asked to leave, and has. */
export async function leftBehind(ground: Ground): Promise<readonly Leftover[]> {
  const rows = await query(ground.databaseUrl, [['worker', 'select realm as name from workers']]);
  const home = ground.dataDisk.path;
  const processes = (await runningProcesses())
    .filter(({ command, environment }) =>
      [command, ...environment.values()].some((text) => text.includes(home)),
    )
    .map(({ pid, command }): Leftover => ({ kind: 'process', name: `${pid} ${command}` }));
  return [...rows, ...processes];
}

/** By whose sweeps it should be gone: those of a manager, and then of the next. */
const SWEPT = "now() - interval '30 seconds'";

const STATEMENTS: readonly (readonly [Leftover['kind'], string])[] = [
  ['lease', `select build_id || ' try ' || number as name from tries where ended_at is null`],
  ['realm', `select name from realms where expires_at < ${SWEPT}`],
  // Hosted workers leave half a minute after their build at the latest.
  [
    'realm',
    `select realms.name from realms join builds on builds.id = build_id where builds.ended_at < ${SWEPT} - interval '40 seconds'`,
  ],
  [
    'credential',
    `select capabilities.build_id || ' try ' || try as name from capabilities join tries on tries.build_id = capabilities.build_id and number = try
     where revoked_at is null and ended_at is not null`,
  ],
  [
    'secret',
    `select build_id::text as name from build_secrets join builds on id = build_id where ended_at is not null`,
  ],
  [
    'hosted worker',
    `select hosted_workers.id from hosted_workers join builds on builds.id = build_id where ended_at < ${SWEPT} - interval '40 seconds'`,
  ],
  ['package', `select id as name from packages`],
];

async function query(
  connectionString: string,
  statements: readonly (readonly [Leftover['kind'], string])[],
): Promise<Leftover[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const found: Leftover[] = [];
    for (const [kind, statement] of statements) {
      const { rows } = await client.query<{ name: string }>(statement);
      found.push(...rows.map(({ name }) => ({ kind, name })));
    }
    return found;
  } finally {
    await client.end();
  }
}

async function inDatabase({ databaseUrl }: Ground): Promise<Leftover[]> {
  return query(databaseUrl, STATEMENTS);
}

async function onEngines({ engines }: Ground, knownImages: ReadonlySet<string>): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for (const { id, engine } of engines) {
    const containers = await engine.docker(['ps', '--all', '--format', '{{.ID}} {{.Image}} {{.Status}}']);
    const images = await engine.docker(['images', '--format', '{{.Repository}}:{{.Tag}}']);
    found.push(
      ...linesOf(containers).map((name): Leftover => ({ kind: 'container', name: `${name} on ${id}` })),
    );
    found.push(
      ...linesOf(images)
        .filter((name) => !knownImages.has(name) && !name.includes('<none>'))
        .map((name): Leftover => ({ kind: 'image name', name: `${name} on ${id}` })),
    );
  }
  return found;
}

const BUILD_FOLDER = /^[0-9a-f]{8}-[0-9a-f-]{27}(?:\.|$)/;

/** Folders of builds in the workers' work directories, and what the managers were writing. */
async function inFolders({ workers, managers, dataDisk }: Ground): Promise<Leftover[]> {
  const found: Leftover[] = [];
  const homes = workers.map(({ program, disk }) => join(disk.path, 'work', program.id));
  for (const [index, { program }] of managers.entries()) {
    const name = `hosted-${index + 1}`;
    homes.push(join(dataDisk.path, `executors-${program.id}`, name, 'work', `${name}-0.${program.id}`));
  }
  for (const home of homes) {
    const names = await readdir(home).catch(() => []);
    found.push(
      ...names
        .filter((name) => BUILD_FOLDER.test(name))
        .map((name): Leftover => ({ kind: 'folder', name: join(home, name) })),
    );
  }
  const unfinished = await readdir(incomingOf(dataDisk.path));
  return [...found, ...unfinished.map((name): Leftover => ({ kind: 'file', name: `incoming/${name}` }))];
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
