import type { BuildRequestBody } from '../contract/api.ts';
import { CliError, exitCodes } from './failure.ts';

/** The options of `submit` that say something to the Dockerfile or of the image. */
export interface BuildOptions {
  readonly buildArg?: readonly string[];
  readonly target?: string;
  readonly label?: readonly string[];
  readonly ociLabels?: boolean;
  readonly platform?: string;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
}

/**
 * Reads them as `docker build` does: `--build-arg NAME` without a value takes it from the environment, and is left out where it is not
 * set there. Throws a CliError for what is none.
 */
export function readBuildOptions(
  { buildArg = [], target, label = [], ociLabels = true, platform, cacheFrom, cacheTo }: BuildOptions,
  environment: NodeJS.ProcessEnv,
): Partial<BuildRequestBody> {
  const buildArgs = readPairs('--build-arg', buildArg, (name) => environment[name]);
  const labels = readPairs('--label', label, () => '');
  return {
    ...(buildArg.length === 0 ? {} : { build_args: buildArgs }),
    ...(target === undefined ? {} : { target }),
    ...(label.length === 0 ? {} : { labels }),
    ...(ociLabels ? {} : { oci_labels: false }),
    ...(platform === undefined ? {} : { platform }),
    ...(cacheFrom === undefined ? {} : { cache_from: [...cacheFrom] }),
    ...(cacheTo === undefined ? {} : { cache_to: [...cacheTo] }),
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
