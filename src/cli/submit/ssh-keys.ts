import { DEFAULT_SSH_ID } from '../../contract/build-options.ts';
import { CliError, exitCodes } from '../failure.ts';
import { readText } from './secrets.ts';

/**
 * Reads `--ssh ID=FILE`, and `--ssh FILE`, which is the key that a mount without an id means. Throws a CliError, or an error of the
 * file system, that holds nothing of a key.
 */
export async function readSshKeys(options: readonly string[]): Promise<Record<string, string>> {
  const keys: [string, string][] = [];
  for (const option of options) {
    const [, id = DEFAULT_SSH_ID, file = ''] = /^(?:([\w.-]*)=)?(.*)$/s.exec(option) ?? [];
    if (id === '' || file === '' || file === DEFAULT_SSH_ID) {
      throw new CliError(
        exitCodes.usage,
        'An --ssh names no file of a key.',
        'Write it as --ssh ID=FILE, or --ssh FILE for the id default; an agent of yours is not passed on.',
      );
    }
    keys.push([id, await readText(file)]);
  }
  return Object.fromEntries(keys);
}
