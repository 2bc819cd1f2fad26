import { readFile } from 'node:fs/promises';
import { BuildError, type BuildErrorCode } from '../../contract/build-errors.ts';
import type { EngineMessage } from '../../contract/log-messages.ts';
import { EngineError, type ImageBuild } from '../engine/engine.ts';
import type { FetchedSource } from '../source/source.ts';
import { type BuildRun, temporaryReference } from './build-run.ts';
import { engineFailure } from './failures.ts';
import { ociLabels } from './oci-labels.ts';
import { watchSilence } from './silence.ts';
import { startSshAgents } from './ssh-agents.ts';

/** What Linux says of a program for another architecture. */
const FOREIGN_PROGRAM = 'exec format error';
const FOREIGN_HELP =
  "A program is for another platform than the engine's: its steps need emulation (binfmt) there, or an engine of that platform.";

/** Phase `building`: builds the image under its temporary name, and answers with its id. */
export async function buildImage(
  run: BuildRun,
  source: FetchedSource,
  { cacheFrom, pull }: Pick<ImageBuild, 'cacheFrom' | 'pull'>,
): Promise<string> {
  await run.output.phase('building');
  await using agents = await startSshAgents(run.build.ssh ?? {}, run);
  const { call, end, error: silenceError } = watchSilence(run);
  const seen = { foreignProgram: false };
  const noted = (message: EngineMessage): EngineMessage => {
    seen.foreignProgram ||= message.stream?.includes(FOREIGN_PROGRAM) ?? false;
    return message;
  };
  try {
    const { imageId } = await run.engine.build(
      {
        contextDirectory: source.contextDirectory,
        dockerfile: source.dockerfile,
        reference: temporaryReference(run.id),
        cacheFrom,
        pull,
        credentials: run.credentials.byHost,
        buildArgs: run.build.build_args ?? {},
        target: run.build.target ?? '',
        platform: run.build.platform ?? '',
        limits: run.build.limits ?? {},
        network: run.build.network ?? 'default',
        labels: { ...(await ownLabels(run, source)), ...run.build.labels },
        secrets: new Map(Object.entries(run.build.secrets ?? {})),
        sshAgents: agents.byId,
        sharedKey: run.sharedKey,
      },
      { ...call, onMessage: (message) => call.onMessage(noted(message)) },
    );
    return imageId;
  } catch (error) {
    if (error === silenceError) throw error;
    if (seen.foreignProgram && error instanceof EngineError && error.kind === 'failed') {
      throw new BuildError('builderror', `${error.message} ${FOREIGN_HELP}`, { cause: error });
    }
    throw engineFailure(error, error instanceof EngineError ? codeOf(error) : 'internalerror');
  } finally {
    end();
  }
}

async function ownLabels(run: BuildRun, source: FetchedSource): Promise<Record<string, string>> {
  if (!run.ociLabels || run.build.oci_labels === false) return {};
  return ociLabels(run.build, source, await readFile(source.dockerfile, 'utf8'), run.clock.now());
}

function codeOf(error: EngineError): BuildErrorCode {
  switch (error.kind) {
    case 'failed':
      return 'builderror';
    case 'denied':
    case 'not-found':
      return 'cannotpullbaseimage';
    case 'dockerfile':
      return 'dockerfileissue';
    case 'refused':
    case 'unreachable':
    case 'full':
    case 'lacking':
      return 'buildrunerror';
  }
}
