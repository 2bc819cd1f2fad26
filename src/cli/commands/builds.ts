import {
  buildListSchema,
  buildRequestSchema,
  buildSchema,
  type BuildRequestBody,
} from '../../contract/api.ts';
import { createLogText } from '../../contract/log-text.ts';
import { findBuildId } from '../client/find-build.ts';
import { followBuild } from '../client/follow.ts';
import { readLog } from '../client/read-log.ts';
import { CliError, exitCodeOf, exitCodes, type ExitCode } from '../failure.ts';
import type { Session } from '../session.ts';
import { readBuildOptions, type BuildOptions } from '../submit/build-options.ts';
import { withGitAccess, type GitAccessOptions } from '../submit/git-access.ts';
import { readRegistryAuth } from '../submit/registry-auth.ts';
import { readSecrets } from '../submit/secrets.ts';
import { readSource } from '../submit/source.ts';
import { readSshKeys } from '../submit/ssh-keys.ts';
import { submitSource } from '../submit/upload.ts';
import { describeBuild, describeEnd, listBuilds } from '../view/describe.ts';
import { toJson } from '../view/text.ts';
import type { ProgressView } from '../view/view.ts';
import { describeWaiting, nobodyTakes } from '../view/waiting.ts';

/** What each command does. Each answers with the exit code. */

export interface SubmitOptions extends BuildOptions, GitAccessOptions {
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly registryAuth?: readonly string[];
  readonly repository: string;
  readonly registry?: string;
  readonly tag?: readonly string[];
  readonly dockerfile?: string;
  readonly context?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** Submits a build, unless one with its `dedupe_key` is there, and follows it to its end, unless it is told not to. */
export async function submit(
  session: Session,
  sourceText: string,
  options: SubmitOptions,
): Promise<ExitCode> {
  const source = await withGitAccess(await readSource(sourceText), options, process.env);
  const request: BuildRequestBody = {
    repository: options.repository,
    ...(options.registry === undefined ? {} : { registry: options.registry }),
    ...(options.tag === undefined ? {} : { tag_names: [...options.tag] }),
    ...(options.dockerfile === undefined ? {} : { dockerfile_path: options.dockerfile }),
    ...(options.context === undefined ? {} : { context: options.context }),
    ...readBuildOptions(options, process.env, Date.now()),
    ...(options.secret === undefined ? {} : { secrets: await readSecrets(options.secret, process.env) }),
    ...(options.registryAuth === undefined
      ? {}
      : { registry_auth: await readRegistryAuth(options.registryAuth, process.env) }),
    ...(options.ssh === undefined ? {} : { ssh: await readSshKeys(options.ssh) }),
  };
  refuseInvalid(request);
  const json = options.json === true;
  const view = session.createView({ onNotices: json || options.detach === true });
  try {
    const sending = { onProgress: view.sending.bind(view), signal: session.interrupted };
    const accepted = await interruptible(
      session,
      submitSource(session.client, request, source, sending),
      () => {
        view.end();
        session.notice('\nInterrupted before the manager had accepted the build.\n');
      },
    );
    if (accepted === null) return exitCodes.interrupted;
    const { value: build, isNew } = accepted;
    view.accepted(build, isNew);
    if (options.detach !== true) return await followToEnd(session, build.id, view, json);
    view.end();
    if (nobodyTakes(build)) session.notice(`${describeWaiting(build)}\n`);
    session.print(json ? toJson(build) : `${build.id}\n`);
    return exitCodes.ok;
  } finally {
    view.end();
  }
}

/** What the manager would refuse anyhow is refused before a large folder is packed. */
function refuseInvalid(request: BuildRequestBody): void {
  const issues = buildRequestSchema.safeParse(request).error?.issues ?? [];
  if (issues.length === 0) return;
  const wrong = issues.map(({ path, message }) => `\n  ${path.join('.')}: ${message}`).join('');
  throw new CliError(
    exitCodes.usage,
    `The build cannot be submitted as it is.${wrong}`,
    'quay-build submit --help tells what each option takes.',
  );
}

/** Prints a build's log, or follows it to the build's end. */
export async function log(
  session: Session,
  idText: string,
  options: { readonly follow?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  const id = await findBuildId(session.client, idText);
  if (options.follow === true && options.json !== true) {
    const view = session.createView({ onNotices: false });
    try {
      return await followToEnd(session, id, view, false);
    } finally {
      view.end();
    }
  }
  if (options.follow === true) {
    const quiet = { build: () => undefined, disconnected: () => undefined, connected: () => undefined };
    const record = (each: object): void => session.print(`${JSON.stringify(each)}\n`);
    const following = followBuild(session.client, id, { ...quiet, record }, session.interrupted);
    const build = await interruptible(session, following, () => sayGoesOn(session, id));
    return build === null ? exitCodes.interrupted : exitCodeOf(build);
  }
  const text = createLogText();
  for await (const record of readLog(session.client, id)) {
    session.print(options.json === true ? `${JSON.stringify(record)}\n` : text.add(record));
  }
  if (options.json !== true) session.print(text.end());
  return exitCodes.ok;
}

/** Shows a build. */
export async function show(
  session: Session,
  idText: string,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const id = await findBuildId(session.client, idText);
  const build = await session.client.get(`/api/v1/builds/${id}`, buildSchema);
  session.print(json === true ? toJson(build) : describeBuild(build));
  return exitCodes.ok;
}

export interface ListOptions {
  readonly state?: string;
  readonly repository?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

/** Lists builds, newest first. */
export async function list(session: Session, options: ListOptions): Promise<ExitCode> {
  const query = new URLSearchParams();
  for (const name of ['state', 'repository', 'limit'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, value);
  }
  const page = await session.client.get(`/api/v1/builds?${query.toString()}`, buildListSchema);
  session.print(options.json === true ? toJson(page) : listBuilds(page.builds, Date.now()));
  return exitCodes.ok;
}

/** Cancels a build. */
export async function cancel(
  session: Session,
  idText: string,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const id = await findBuildId(session.client, idText);
  const build = await session.client.post(`/api/v1/builds/${id}/cancel`, buildSchema);
  session.print(json === true ? toJson(build) : `cancelled ${build.id}\n`);
  return exitCodes.ok;
}

async function followToEnd(
  session: Session,
  id: string,
  view: ProgressView,
  json: boolean,
): Promise<ExitCode> {
  const following = followBuild(session.client, id, view, session.interrupted);
  const build = await interruptible(session, following, () => {
    view.end();
    sayGoesOn(session, id);
  });
  if (build === null) return exitCodes.interrupted;
  view.end();
  if (json) session.print(toJson(build));
  else session.print(describeEnd(build));
  return exitCodeOf(build);
}

function sayGoesOn(session: Session, id: string): void {
  session.notice(
    `\nThe build goes on.\n  follow it:  quay-build log ${id} --follow\n  cancel it:  quay-build cancel ${id}\n`,
  );
}

/** What comes of the work, or null when it was interrupted first. */
async function interruptible<T>(
  { interrupted }: Session,
  work: Promise<T>,
  onInterrupt: () => void,
): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (!interrupted.aborted || error instanceof CliError) throw error;
    onInterrupt();
    return null;
  }
}
