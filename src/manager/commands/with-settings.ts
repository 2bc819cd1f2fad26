import { ConfigurationError, loadConfiguration } from '../../contract/configuration.ts';
import { withProxyNames } from '../../contract/network/proxies.ts';
import { managerConfiguration } from '../config.ts';
import type { ManagerSettings } from '../settings.ts';
import { exitCodes } from '../exit-codes.ts';

export const configOption = [
  '--config <file>',
  'a JSON file of settings; CONFIG_FILE does the same',
] as const;

/** Reads the settings and does what was asked for with them; answers with the exit code. */
export async function withSettings(
  config: string | undefined,
  work: (settings: ManagerSettings) => Promise<number>,
): Promise<number> {
  const file = config ?? process.env['CONFIG_FILE'];
  let settings: ManagerSettings;
  try {
    settings = loadConfiguration(managerConfiguration, { environment: withProxyNames(process.env), file });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return refuse(error.problems, exitCodes.wrongSetting);
  }
  return work(settings);
}

/** Says on standard error what keeps the manager from starting; answers with the exit code. */
export function refuse(problems: readonly string[], exitCode: number): number {
  process.stderr.write(`quay-build-manager cannot start:\n${problems.map((each) => `  ${each}\n`).join('')}`);
  return exitCode;
}
