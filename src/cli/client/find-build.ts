import { z } from 'zod';
import { buildListSchema } from '../../contract/api.ts';
import { CliError, exitCodes } from '../failure.ts';
import { ID_PREFIX_FOUND, ID_PREFIX_MIN } from '../limits.ts';
import type { ManagerClient } from './client.ts';

/**
 * The whole id of a build that was named by it, or by its first characters.
 *
 * @throws CliError when no build, or more than one, begins like this.
 */
export async function findBuildId(client: ManagerClient, text: string): Promise<string> {
  const id = text.toLowerCase();
  if (z.uuid().safeParse(id).success) return id;
  if (!/^[0-9a-f-]+$/.test(id) || id.length < ID_PREFIX_MIN) {
    throw new CliError(
      exitCodes.usage,
      `${text} is not the id of a build.`,
      `Give the id, or its first ${ID_PREFIX_MIN} characters or more; quay-build list shows them.`,
    );
  }
  const query = `id_prefix=${encodeURIComponent(id)}&limit=${ID_PREFIX_FOUND}`;
  const { builds } = await client.get(`/api/v1/builds?${query}`, buildListSchema);
  const found = builds.map((build) => build.id);
  const [only, another] = found;
  if (only === undefined) {
    throw new CliError(exitCodes.manager, `No build begins with ${text}.`, 'quay-build list shows them.');
  }
  if (another !== undefined) {
    throw new CliError(
      exitCodes.usage,
      `${text} is the beginning of several builds:\n${found.map((each) => `  ${each}`).join('\n')}`,
      'Give more of the id.',
    );
  }
  return only;
}
