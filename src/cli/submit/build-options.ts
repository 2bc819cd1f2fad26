import type { BuildRequestBody } from '../../contract/api.ts';
import { CliError, exitCodes } from '../failure.ts';
import { readTime } from '../times.ts';

/** The options of `submit` that say something to the Dockerfile or of the image. */
export interface BuildOptions {
  readonly buildArg?: readonly string[];
  readonly target?: string;
  readonly label?: readonly string[];
  readonly ociLabels?: boolean;
  readonly platform?: string;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly pushTo?: readonly string[];
  readonly memory?: string;
  readonly cpus?: string;
  readonly timeout?: string;
  readonly silenceTimeout?: string;
  readonly maxTries?: string;
  readonly network?: string;
  readonly workerLabel?: readonly string[];
  readonly requireWorker?: boolean;
  readonly priority?: string;
  readonly notBefore?: string;
  readonly exclusive?: boolean;
  readonly dedupeKey?: string;
}

/**
 * Reads them as `docker build` does: `--build-arg NAME` without a value takes it from the environment, and is left out where it is not
 * set there. `now` in milliseconds since 1970. Throws a CliError for what is none.
 */
export function readBuildOptions(
  options: BuildOptions,
  environment: NodeJS.ProcessEnv,
  now: number,
): Partial<BuildRequestBody> {
  const {
    buildArg = [],
    target,
    label = [],
    ociLabels = true,
    platform,
    cacheFrom,
    cacheTo,
    pushTo,
  } = options;
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
    ...(pushTo === undefined ? {} : { push_to: [...pushTo] }),
    ...readBounds(options),
    ...readScheduling(options, now),
  };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };

function readBounds({
  memory,
  cpus,
  timeout,
  silenceTimeout,
  maxTries,
  network,
}: BuildOptions): Pick<BuildRequestBody, 'limits' | 'timeout' | 'silence_timeout' | 'max_tries' | 'network'> {
  const limits = {
    ...(memory === undefined ? {} : { memory: readAmount('--memory', memory, UNITS, '512m or 2g') }),
    ...(cpus === undefined ? {} : { cpus: readAmount('--cpus', cpus, { '': 1 }, '1.5') }),
  };
  return {
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(timeout === undefined
      ? {}
      : { timeout: readAmount('--timeout', timeout, SECONDS, '90s, 30m or 2h') }),
    ...(silenceTimeout === undefined
      ? {}
      : { silence_timeout: readAmount('--silence-timeout', silenceTimeout, SECONDS, '90s, 30m or 2h') }),
    ...(maxTries === undefined ? {} : { max_tries: readWhole('--max-tries', maxTries, '1 to 10') }),
    ...(network === 'none' || network === 'host' ? { network } : {}),
  };
}

function readScheduling(options: BuildOptions, now: number): Partial<BuildRequestBody> {
  const { workerLabel, requireWorker, priority, notBefore, exclusive, dedupeKey } = options;
  return {
    ...(workerLabel === undefined ? {} : { worker_labels: [...workerLabel] }),
    ...(requireWorker === true ? { require_worker: true } : {}),
    ...(priority === undefined ? {} : { priority: readWhole('--priority', priority, '-1000 to 1000') }),
    ...(notBefore === undefined ? {} : { not_before: readTime('--not-before', notBefore, now, 'from now') }),
    ...(exclusive === true ? { exclusive } : {}),
    ...(dedupeKey === undefined ? {} : { dedupe_key: dedupeKey }),
  };
}

function readWhole(option: string, text: string, range: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new CliError(exitCodes.usage, `${option} ${text} is no whole number.`, `Give one from ${range}.`);
}

/** A number and a unit, one of these. */
function readAmount(
  option: string,
  text: string,
  units: Readonly<Record<string, number>>,
  examples: string,
): number {
  const [, number = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([a-z]?)$/i.exec(text) ?? [];
  const factor = units[unit.toLowerCase()];
  if (number === '' || factor === undefined) {
    throw new CliError(exitCodes.usage, `${option} ${text} is no amount.`, `Write it as ${examples}.`);
  }
  return Number(number) * factor;
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
