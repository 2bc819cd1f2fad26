import type { BuildRequestBody } from '../contract/api.ts';
import { CliError, exitCodes } from './failure.ts';

/** The options of `submit` that say something to the Dockerfile or of the image. */
export interface BuildOptions {
  readonly buildArg?: readonly string[];
  readonly target?: string;
  readonly label?: readonly string[];
  readonly ociLabels?: boolean;
}

/**
 * Reads them as `docker build` does: `--build-arg NAME` without a value takes it from the environment, and is left out where it is not
 * set there. Throws a CliError for what is none.
 */
export function readBuildOptions(
  { buildArg = [], target, label = [], ociLabels = true }: BuildOptions,
  environment: NodeJS.ProcessEnv,
): Pick<BuildRequestBody, 'build_args' | 'target' | 'labels' | 'oci_labels'> {
  const buildArgs = readPairs('--build-arg', buildArg, (name) => environment[name]);
  const labels = readPairs('--label', label, () => '');
  return {
    ...(buildArg.length === 0 ? {} : { build_args: buildArgs }),
    ...(target === undefined ? {} : { target }),
    ...(label.length === 0 ? {} : { labels }),
    ...(ociLabels ? {} : { oci_labels: false }),
  };
}

/** The last of a name wins. */
function readPairs(
  option: string,
  pairs: readonly string[],
  valueOf: (name: string) => string | undefined,
): Record<string, string> {
  const entries = pairs.flatMap((pair): [string, string][] => {
    const [, name = '', written] = /^([^=]*)(?:=(.*))?$/s.exec(pair) ?? [];
    if (name === '') {
      throw new CliError(
        exitCodes.usage,
        `${option} ${pair} has no name.`,
        `Write it as ${option} NAME=VALUE.`,
      );
    }
    const value = written ?? valueOf(name);
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(entries);
}
