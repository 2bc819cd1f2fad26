import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { credentialListSchema, credentialSchema, type Credential } from '../../contract/api/registries.ts';
import { CliError, exitCodes, type ExitCode } from '../failure.ts';
import type { Session } from '../session.ts';
import { formatTable, toJson } from '../view/text.ts';

/** `quay-build credentials`: who the builds of a namespace are at registries. Each command answers with the exit code. */

interface Place {
  readonly namespace: string;
  readonly registry: string;
}

/** Lists the registries that a namespace has credentials for. */
export async function listCredentials(
  { client, print }: Session,
  { namespace, json }: { readonly namespace: string; readonly json?: boolean },
): Promise<ExitCode> {
  const answer = await client.get(pathOf(namespace), credentialListSchema);
  print(json === true ? toJson(answer) : describe(answer.credentials));
  return exitCodes.ok;
}

/** Sets who a namespace's builds are at a registry. The password comes by `input`, so that no process list shows it. */
export async function setCredential(
  { client, print }: Session,
  { namespace, registry, username }: Place & { readonly username: string },
  input: Readable,
): Promise<ExitCode> {
  const password = (await text(input)).replace(/\r?\n$/, '');
  if (password === '') {
    throw new CliError(
      exitCodes.usage,
      'Standard input holds no password.',
      'Send it there, as in: quay-build credentials set … --password-stdin < password-file',
    );
  }
  const set = await client.put(pathOf(namespace, registry), { username, password }, credentialSchema);
  print(`builds of ${namespace} are ${set.username} at ${set.registry}\n`);
  return exitCodes.ok;
}

/** Removes who a namespace's builds are at a registry. */
export async function removeCredential(
  { client, print }: Session,
  { namespace, registry }: Place,
): Promise<ExitCode> {
  await client.delete(pathOf(namespace, registry));
  print(`builds of ${namespace} are nobody at ${registry}\n`);
  return exitCodes.ok;
}

function pathOf(namespace: string, registry?: string): string {
  const all = `/api/v1/namespaces/${encodeURIComponent(namespace)}/credentials`;
  return registry === undefined ? all : `${all}/${encodeURIComponent(registry)}`;
}

function describe(credentials: readonly Credential[]): string {
  if (credentials.length === 0) return 'no credentials\n';
  return formatTable(
    ['REGISTRY', 'USER', 'SET', 'BY'],
    credentials.map(({ registry, username, set_at, set_by }) => [registry, username, set_at, set_by]),
  );
}
