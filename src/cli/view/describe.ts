import type { Build, Try } from '../../contract/api.ts';
import { formatDuration, formatFacts, formatTable, shortId, type Fact } from './text.ts';
import { describePlace, describeReason } from './waiting.ts';

/** How builds read. */

/** The line that says what came of a submission: a new build, or one that has its `dedupe_key`. */
export function describeAccepted({ id }: Build, isNew: boolean): string {
  return isNew
    ? `submitted ${id}\n`
    : `the build ${id} has this dedupe key and has not ended: no other was made\n`;
}

/** The line, or lines, that say how a build ended: to be the last of what is printed. */
export function describeEnd(build: Build): string {
  switch (build.state) {
    case 'complete':
      return build.tag_names
        .map((tag) => `built ${build.registry}/${build.repository}:${tag}${digestOf(build, tag)}\n`)
        .join('');
    case 'cancelled':
      return `cancelled ${build.id}\n`;
    default:
      return describeError(build);
  }
}

/** Everything about a build. */
export function describeBuild(build: Build): string {
  const facts = formatFacts([
    ['id', build.id],
    ['state', build.phase === null || hasEnded(build) ? build.state : `${build.state}, ${build.phase}`],
    ['waiting', build.waiting && describeReason(build.waiting)],
    ['place', describePlace(build).replace(/^place /, '')],
    ['image', build.tag_names.map((tag) => `${build.registry}/${build.repository}:${tag}`).join(' ')],
    ['source', describeSource(build)],
    ['context', build.context],
    ['dockerfile', build.dockerfile_path],
    ['target', build.target],
    ...describePairs('build arg', build.build_args),
    ...describePairs('label', build.labels),
    ...build.worker_labels.map((label): Fact => ['worker', label]),
    ['priority', build.priority === 0 ? null : String(build.priority)],
    ['not before', build.not_before],
    ['exclusive', build.exclusive ? 'yes' : null],
    ['dedupe key', build.dedupe_key],
    ['step', build.progress && !hasEnded(build) ? describeStep(build.progress) : null],
    ...Object.entries(build.digests).map(([tag, digest]): Fact => [tag, digest ?? 'unknown']),
    ['submitted', `${build.created_at} by ${build.submitted_by}`],
    ['started', build.started_at],
    ['ended', build.ended_at],
    ['tries', build.tries.length === 0 ? null : `${build.tries_used} of ${build.max_tries} used up`],
    ...build.tries.flatMap(describeTry),
  ]);
  return build.error === null ? facts : `${facts}\n${describeError(build)}`;
}

function hasEnded({ ended_at }: Build): boolean {
  return ended_at !== null;
}

function describePairs(name: string, pairs: Readonly<Record<string, string>>): Fact[] {
  const shown = (value: string): string => (/\p{Cc}/u.test(value) ? JSON.stringify(value) : value);
  return Object.entries(pairs).map(([key, value]) => [name, `${key}=${shown(value)}`]);
}

function describeTry(attempt: Try): Fact[] {
  const { number, outcome, phase, worker, started_at, ended_at, deadline, counted, error } = attempt;
  const parts = [
    outcome ?? 'running',
    phase,
    worker && `on ${worker}`,
    ended_at === null
      ? deadline && `until ${deadline} at most`
      : `after ${formatDuration(Date.parse(ended_at) - Date.parse(started_at))}`,
    outcome === 'lost' && !counted ? 'not counted' : null,
    error?.message,
  ];
  const summary = parts.filter((part) => part !== null && part !== undefined && part !== '').join(', ');
  return [
    [`try ${number}`, summary],
    ['', error?.base_error ?? null],
  ];
}

/** A table of builds. `now` in milliseconds since 1970. */
export function listBuilds(builds: readonly Build[], now: number): string {
  if (builds.length === 0) return 'no builds\n';
  return formatTable(
    ['ID', 'STATE', 'IMAGE', 'AGE', 'TOOK', 'BY'],
    builds.map((build) => [
      shortId(build.id),
      describeState(build),
      `${build.repository}:${build.tag_names.join(',')}`,
      formatDuration(now - Date.parse(build.created_at)),
      build.started_at === null
        ? ''
        : formatDuration(
            (build.ended_at === null ? now : Date.parse(build.ended_at)) - Date.parse(build.started_at),
          ),
      build.submitted_by,
    ]),
  );
}

function describeState({ state, phase, waiting }: Build): string {
  if (state === 'waiting' && waiting !== null && waiting.reason !== 'next') {
    return `waiting (${waiting.reason.replaceAll('_', ' ')})`;
  }
  return state === 'running' && phase !== null ? phase : state;
}

function describeError({ error, state, id }: Build): string {
  if (error === null) return `${state} ${id}\n`;
  const own = error.base_error === '' ? '' : `${error.base_error.trimEnd()}\n`;
  return `failed: ${error.message}\n${own}${error.help}\n`;
}

function describeSource({ source }: Build): string {
  switch (source.type) {
    case 'package':
      return `a package of ${source.size} bytes, sha256 ${source.sha256}`;
    case 'url':
      return source.url;
    case 'git':
      return `${source.url} ${source.ref === null ? '' : `${source.ref} `}at ${source.sha}`;
  }
}

function describeStep({ step, steps, instruction }: NonNullable<Build['progress']>): string {
  return `${step}${steps === null ? '' : `/${steps}`} ${instruction}`;
}

function digestOf(build: Build, tag: string): string {
  const digest = build.digests[tag];
  return digest ? `@${digest}` : '';
}
