import { FileTooLarge, readBounded } from '../../contract/bounded-file.ts';
import { CliError, exitCodes } from '../failure.ts';
import { SECRET_FILE_MAX_BYTES } from '../limits.ts';

const FORM = 'Write it as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE.';

/**
 * Reads `--secret id=NAME,src=FILE` and `--secret id=NAME,env=VARIABLE`, so that no value stands on a command line; `id=NAME` alone takes
 * the variable of that name. Throws a CliError that never holds a value.
 */
export async function readSecrets(
  options: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  const secrets: [string, string][] = [];
  for (const option of options) {
    const { id, file, variable } = parse(option);
    const value = file === null ? environment[variable] : await readText(file);
    if (value === undefined) {
      throw usage(`The environment variable ${variable}, of the secret ${id}, is not set.`, FORM);
    }
    secrets.push([id, value]);
  }
  return Object.fromEntries(secrets);
}

function parse(option: string): { id: string; file: string | null; variable: string } {
  let id = '';
  let file: string | null = null;
  let variable: string | null = null;
  for (const part of option.split(',')) {
    const [, name, value = ''] = /^(\w+)=(.+)$/s.exec(part) ?? [];
    if (name === 'id') id = value;
    else if (name === 'src' || name === 'source') file = value;
    else if (name === 'env') variable = value;
    // What was mistyped may be the secret itself.
    else throw usage('A --secret has a part that is none of id=, src= and env=.', FORM);
  }
  if (id === '') throw usage('A --secret has no id.', FORM);
  if (file !== null && variable !== null) throw usage(`The secret ${id} has both src= and env=.`, FORM);
  return { id, file, variable: variable ?? id };
}

/** Reads a file of text that is small enough. Throws a CliError that holds nothing of it. */
export async function readText(path: string): Promise<string> {
  try {
    const bytes = await readBounded(path, SECRET_FILE_MAX_BYTES);
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof FileTooLarge) {
      const help = `A secret takes up to ${SECRET_FILE_MAX_BYTES} bytes.`;
      throw usage(`${path} is too large for a secret.`, help);
    }
    if (!(error instanceof TypeError)) throw error;
    throw usage(
      `${path} is no text in UTF-8, as a secret must be.`,
      'Encode it, as in base64, and decode it in the step.',
    );
  }
}

function usage(message: string, help: string): CliError {
  return new CliError(exitCodes.usage, message, help);
}
