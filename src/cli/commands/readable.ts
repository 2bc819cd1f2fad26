import { readableSchema } from '../../contract/api/registries.ts';
import { exitCodes, type ExitCode } from '../failure.ts';
import type { Session } from '../session.ts';
import { toJson } from '../view/text.ts';

/** `quay-build readable`: what the builds of a namespace may pull. Each command answers with the exit code. */

interface ReadableOptions {
  readonly namespace: string;
  readonly json?: boolean;
}

/** Shows what a namespace may read, a repository a line. */
export async function showReadable({ client, print }: Session, options: ReadableOptions): Promise<ExitCode> {
  print(describe(await client.get(pathOf(options), readableSchema), options));
  return exitCodes.ok;
}

/** Sets what a namespace may read, in the place of what it might before. */
export async function setReadable(
  { client, print }: Session,
  repositories: readonly string[],
  options: ReadableOptions,
): Promise<ExitCode> {
  print(describe(await client.put(pathOf(options), { repositories }, readableSchema), options));
  return exitCodes.ok;
}

function pathOf({ namespace }: ReadableOptions): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/readable`;
}

function describe(
  answer: { readonly repositories: readonly string[] },
  { namespace, json }: ReadableOptions,
): string {
  if (json === true) return toJson(answer);
  if (answer.repositories.length === 0)
    return `${namespace} reads its own repositories and the public ones alone\n`;
  return answer.repositories.map((repository) => `${repository}\n`).join('');
}
