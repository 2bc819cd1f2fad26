import type { BuildRequestBody } from '../../contract/api.ts';
import { isRegistryHost } from '../../contract/references.ts';
import { CliError, exitCodes } from '../failure.ts';
import { readText } from './secrets.ts';

const FORM =
  'Write it as --registry-auth host=HOST,user=USER,src=FILE or --registry-auth host=HOST,user=USER,env=VARIABLE.';

/**
 * Reads `--registry-auth host=HOST,user=USER,src=FILE` (or `env=VARIABLE`), so that no password stands on a command line; a line break
 * at the end of a file is none of its password. Throws a CliError that holds no value.
 */
export async function readRegistryAuth(
  options: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<NonNullable<BuildRequestBody['registry_auth']>> {
  const entries: [string, { username: string; password: string }][] = [];
  for (const option of options) {
    const parts = new Map(option.split(',').map((part) => split(part)));
    const [host, username, file, variable] = ['host', 'user', 'src', 'env'].map((name) => parts.get(name));
    // What was mistyped may be the password itself.
    if (parts.size !== 3 || !host || !username || (file === undefined) === (variable === undefined)) {
      throw new CliError(exitCodes.usage, 'A --registry-auth is not understood.', FORM);
    }
    demandKnown(host, username);
    if (entries.some(([known]) => known === host)) {
      throw new CliError(exitCodes.usage, `--registry-auth names the registry ${host} twice.`, FORM);
    }
    const value = file === undefined ? environment[variable ?? ''] : await readText(file);
    const password = file === undefined ? value : value?.replace(/\r?\n$/, '');
    if (password === undefined || password === '') {
      const what = file ?? `The environment variable ${variable}`;
      throw new CliError(exitCodes.usage, `${what}, of the registry ${host}, holds no password.`, FORM);
    }
    entries.push([host, { username, password }]);
  }
  return Object.fromEntries(entries);
}

function demandKnown(host: string, username: string): void {
  if (!isRegistryHost(host)) {
    const advice = 'Write host or host:port, without a scheme and a path: docker.io, registry.example:5000.';
    throw new CliError(exitCodes.usage, `--registry-auth: ${host} is no registry.`, advice);
  }
  if (username.includes(':')) {
    throw new CliError(
      exitCodes.usage,
      '--registry-auth: no user of a registry has a colon in the name.',
      FORM,
    );
  }
}

function split(part: string): [string, string] {
  const at = part.indexOf('=');
  return [part.slice(0, Math.max(at, 0)), part.slice(at + 1)];
}
