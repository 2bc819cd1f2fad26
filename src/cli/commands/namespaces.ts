import type { Command } from 'commander';
import {
  NAMESPACE_LIMIT_MAX,
  namespaceListSchema,
  namespaceViewSchema,
  WEIGHT_MAX,
  WEIGHT_MIN,
  type Namespace,
  type NamespaceSettings,
} from '../../contract/api/namespaces.ts';
import { CliError, exitCodes, type ExitCode } from '../failure.ts';
import type { InSession, Session } from '../session.ts';
import { formatTable, toJson } from '../view/text.ts';

/** `quay-build namespaces`: how namespaces share the farm. Each command answers with the exit code. */

interface SetOptions {
  readonly weight?: string;
  readonly maxRunning?: string;
  readonly maxWaiting?: string;
  readonly json?: boolean;
}

const DEFAULT = 'default';

/** Adds the commands about namespaces to the command line. */
export function addNamespaceCommands(program: Command, inSession: InSession): void {
  const namespaces = program
    .command('namespaces')
    .description('how namespaces share the farm; it needs a token with the scope admin');
  const json = ['--json', 'print it as JSON'] as const;
  namespaces
    .command('list')
    .alias('ls')
    .description('list the namespaces that have settings, or builds that have not ended')
    .option(...json)
    .action(inSession((session, options: { json?: boolean }) => listNamespaces(session, options)));
  namespaces
    .command('set')
    .description(
      "set a namespace's share and limits; what is not given stays, `default` is as the manager's settings say",
    )
    .argument('<namespace>', 'what comes before the last / of repositories')
    .option('--weight <number>', 'its share beside the others, which have 1 (0.01 to 100)')
    .option('--max-running <number>', 'how many of its builds may run at a time; 0 holds them all')
    .option('--max-waiting <number>', 'how many may wait; further ones are refused')
    .option(...json)
    .action(
      inSession((session, namespace: string, options: SetOptions) =>
        setNamespace(session, namespace, options),
      ),
    );
  namespaces
    .command('reset')
    .description('give a namespace no share and limits of its own')
    .argument('<namespace>', 'whose')
    .option(...json)
    .action(
      inSession((session, namespace: string, options: { json?: boolean }) =>
        resetNamespace(session, namespace, options),
      ),
    );
}

async function listNamespaces(
  { client, print }: Session,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const namespaces: Namespace[] = [];
  for (let cursor = ''; ;) {
    const query = new URLSearchParams({ limit: '500', ...(cursor === '' ? {} : { cursor }) });
    const page = await client.get(`/api/v1/namespaces?${query.toString()}`, namespaceListSchema);
    namespaces.push(...page.namespaces);
    if (page.next_cursor === null) break;
    cursor = page.next_cursor;
  }
  print(json === true ? toJson({ namespaces }) : describe(namespaces));
  return exitCodes.ok;
}

async function setNamespace(
  { client, print }: Session,
  namespace: string,
  options: SetOptions,
): Promise<ExitCode> {
  const { weight, maxRunning, maxWaiting, json } = options;
  if (weight === undefined && maxRunning === undefined && maxWaiting === undefined) {
    throw new CliError(
      exitCodes.usage,
      'There is nothing to set.',
      'Give --weight, --max-running or --max-waiting, or reset the namespace.',
    );
  }
  const given = {
    ...(weight === undefined ? {} : { weight: readWeight('--weight', weight) }),
    ...(maxRunning === undefined ? {} : { max_running: readCount('--max-running', maxRunning) }),
    ...(maxWaiting === undefined ? {} : { max_waiting: readCount('--max-waiting', maxWaiting) }),
  };
  const { settings } = await client.get(pathOf(namespace), namespaceViewSchema);
  const changed: NamespaceSettings = { ...settings, ...given };
  const set = await client.put(pathOf(namespace), changed, namespaceViewSchema);
  print(json === true ? toJson(set) : describe([set]));
  return exitCodes.ok;
}

async function resetNamespace(
  { client, print }: Session,
  namespace: string,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  await client.delete(pathOf(namespace));
  const reset = await client.get(pathOf(namespace), namespaceViewSchema);
  print(json === true ? toJson(reset) : describe([reset]));
  return exitCodes.ok;
}

function readWeight(option: string, text: string): number | null {
  if (text === DEFAULT) return null;
  const weight = /^\d{1,3}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (weight >= WEIGHT_MIN && weight <= WEIGHT_MAX) return weight;
  throw wrongNumber(option, text, `a number from ${WEIGHT_MIN} to ${WEIGHT_MAX}`);
}

function readCount(option: string, text: string): number | null {
  if (text === DEFAULT) return null;
  const count = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= NAMESPACE_LIMIT_MAX) return count;
  throw wrongNumber(option, text, `a whole number from 0 to ${NAMESPACE_LIMIT_MAX}`);
}

function wrongNumber(option: string, text: string, rule: string): CliError {
  return new CliError(exitCodes.usage, `${option} ${text} is not ${rule}.`, `Give one, or ${DEFAULT}.`);
}

function pathOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
}

function describe(namespaces: readonly Namespace[]): string {
  if (namespaces.length === 0) return 'no namespaces\n';
  return formatTable(
    ['NAMESPACE', 'WEIGHT', 'RUNNING', 'WAITING'],
    namespaces.map(({ name, weight, running, waiting, max_running, max_waiting }) => [
      name,
      String(weight),
      `${running} of ${max_running ?? 'any'}`,
      `${waiting} of ${max_waiting ?? 'any'}`,
    ]),
  );
}
