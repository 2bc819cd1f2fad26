import { readdir, readFile, readlink, realpath } from 'node:fs/promises';

/** How much BuildKit lets a step print, and how fast, before it clips; null is without a limit. In bytes, and bytes a second. */
export interface StepLogLimits {
  readonly size: number | null;
  readonly speed: number | null;
}

/** BuildKit's own limits: those of the engines up to 20.10, and of the newer ones, whose names begin with 23. */
const OLD_DEFAULTS: StepLogLimits = { size: 1024 * 1024, speed: 100 * 1024 };
const DEFAULTS: StepLogLimits = { size: 2 * 1024 * 1024, speed: 200 * 1024 };
const NEW_SINCE = 23;

/**
 * Reads the limits from the environment of the engine's process. Null where that cannot be seen: at another machine, without the
 * right to look, or where no Docker engine listens.
 */
export async function readStepLogLimits(dockerHost: string, version: string): Promise<StepLogLimits | null> {
  if (!dockerHost.startsWith('unix://')) return null;
  const environment = await environmentOfListener(dockerHost.slice('unix://'.length));
  if (environment === null) return null;
  const defaults = Number.parseInt(version, 10) >= NEW_SINCE ? DEFAULTS : OLD_DEFAULTS;
  return {
    size: limitOf(environment.get('BUILDKIT_STEP_LOG_MAX_SIZE'), defaults.size),
    speed: limitOf(environment.get('BUILDKIT_STEP_LOG_MAX_SPEED'), defaults.speed),
  };
}

function limitOf(text: string | undefined, otherwise: number | null): number | null {
  if (text === undefined || !/^-?\d+$/.test(text)) return otherwise;
  return Number(text) < 0 ? null : Number(text);
}

/** The environment of the `dockerd` that listens at a socket: systemd may hold the same socket open. */
async function environmentOfListener(socketPath: string): Promise<Map<string, string> | null> {
  const path = await realpath(socketPath).catch(() => socketPath);
  const sockets = await readFile('/proc/net/unix', 'utf8').catch(() => '');
  const inodes = sockets
    .split('\n')
    .map((line) => /^\S+: \S+ \S+ 00010000 \S+ \S+ +(\d+) (.+)$/.exec(line))
    .filter((match) => match?.[2] === path)
    .map((match) => `socket:[${match?.[1] ?? ''}]`);
  if (inodes.length === 0) return null;
  for (const id of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const program = await readFile(`/proc/${id}/comm`, 'utf8').catch(() => '');
    if (program.trim() !== 'dockerd' || !(await holdsAny(id, inodes))) continue;
    const text = await readFile(`/proc/${id}/environ`, 'utf8').catch(() => null);
    if (text !== null) return readEnvironment(text);
  }
  return null;
}

async function holdsAny(pid: string, inodes: readonly string[]): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    if (inodes.includes(target)) return true;
  }
  return false;
}

function readEnvironment(text: string): Map<string, string> {
  return new Map(
    text
      .split('\0')
      .filter((each) => each.startsWith('BUILDKIT_'))
      .map((each) => {
        const end = each.indexOf('=');
        return [each.slice(0, end), each.slice(end + 1)];
      }),
  );
}
