import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import {
  buildArgumentsSchema,
  type BuildArguments,
  type BuildArgumentsMessage,
} from '../../../src/contract/build-arguments.ts';
import { BuildError, type BuildErrorCode } from '../../../src/contract/build-errors.ts';
import type { EngineMessage } from '../../../src/contract/log-messages.ts';
import type { FetchedSource, FetchSource } from '../../../src/worker/source/source.ts';

/** A folder for one test, with a folder of a build in it: what lies beside that one must not change. */
export interface Workplace extends AsyncDisposable {
  readonly outside: string;
  readonly directory: string;
  /** What lies beside the build's folder. */
  leftOutside(): Promise<string[]>;
}

export async function createWorkplace(): Promise<Workplace> {
  const outside = await mkdtemp(join(tmpdir(), 'quay-source-test-'));
  const directory = join(outside, 'build');
  await mkdir(directory, { mode: 0o700 });
  return {
    outside,
    directory,
    leftOutside: async () => (await readdir(outside)).filter((name) => name !== 'build'),
    [Symbol.asyncDispose]: () => rm(outside, { recursive: true, force: true }),
  };
}

export function buildOf(message: Partial<BuildArgumentsMessage>): BuildArguments {
  return buildArgumentsSchema.parse({
    repository: 'team/app',
    registry: 'registry.example',
    tag_names: ['latest'],
    ...message,
  });
}

export interface Fetched {
  readonly source: FetchedSource;
  readonly messages: readonly EngineMessage[];
}

export async function fetchInto(
  place: Workplace,
  fetchSource: FetchSource,
  message: Partial<BuildArgumentsMessage>,
  signal: AbortSignal = new AbortController().signal,
): Promise<Fetched> {
  const messages: EngineMessage[] = [];
  const source = await fetchSource(buildOf(message), {
    directory: place.directory,
    signal,
    onMessage: (sent) => void messages.push(sent),
  });
  return { source, messages };
}

/** The BuildError that a promise rejects with, of this code. */
export async function refusal(promise: Promise<unknown>, code: BuildErrorCode): Promise<BuildError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof BuildError)) expect.fail(`expected a BuildError ${code}, got ${String(error)}`);
  expect(error.message + ` [${error.code}]`).toContain(`[${code}]`);
  return error;
}

/** Waits as told, but a thousand times faster. */
export function waitLess(ms: number, signal: AbortSignal): Promise<void> {
  return setTimeout(ms / 1000, undefined, { signal });
}
