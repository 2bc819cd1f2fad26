import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathInPackage } from '../../contract/package-paths.ts';
import { CliError, exitCodes } from '../failure.ts';

/** What of a folder is built: the context within it, and the Dockerfile relative to that; '' are their defaults. */
interface Wanted {
  readonly folder: string;
  readonly context: string;
  readonly dockerfile: string;
}

/**
 * Looks, before a folder is packed, whether it has what a worker looks for first: the context and the Dockerfile. `.dockerignore`
 * takes neither away.
 *
 * @throws CliError that says which is missing, and how another one is named.
 */
export async function requireDockerfile({ folder, context, dockerfile }: Wanted): Promise<void> {
  const contextPath = pathInPackage('', context) ?? '.';
  if (!(await isA('isDirectory', join(folder, contextPath)))) {
    throw usage(
      `There is no folder ${contextPath} in ${folder}.`,
      'Name the build context by its path within the source: --context FOLDER.',
    );
  }
  const path = pathInPackage(contextPath, dockerfile === '' ? 'Dockerfile' : dockerfile) ?? 'Dockerfile';
  if (!(await isA('isFile', join(folder, path)))) {
    throw usage(
      `There is no file ${path} in ${folder}: a build needs a Dockerfile.`,
      'Name it by its path from the build context: --dockerfile PATH.',
    );
  }
}

function isA(kind: 'isFile' | 'isDirectory', path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats[kind](),
    () => false,
  );
}

function usage(message: string, help: string): CliError {
  return new CliError(exitCodes.usage, message, help);
}
