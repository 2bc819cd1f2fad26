import type { Build, Try } from '../contract/api.ts';
import { formatDuration, formatTable } from './text.ts';
import { describePlace, describeReason } from './waiting.ts';

/** How builds read. */

const ID_SHOWN = 8;
const LABEL_COLUMNS = 12;

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
  const rows: [string, string][] = [
    ['id', build.id],
    [
      'state',
      build.phase === null || build.ended_at !== null ? build.state : `${build.state}, ${build.phase}`,
    ],
    ...(build.waiting === null
      ? []
      : [
          ['waiting', describeReason(build.waiting)] as [string, string],
          ['place', describePlace(build).replace(/^place /, '')] as [string, string],
        ]),
    ['image', build.tag_names.map((tag) => `${build.registry}/${build.repository}:${tag}`).join(' ')],
    ['source', describeSource(build)],
    ...(build.context === '' ? [] : [['context', build.context] as [string, string]]),
    ...(build.dockerfile_path === '' ? [] : [['dockerfile', build.dockerfile_path] as [string, string]]),
    ...(build.target === '' ? [] : [['target', build.target] as [string, string]]),
    ...describePairs('build arg', build.build_args),
    ...describePairs('label', build.labels),
    ...build.worker_labels.map((label): [string, string] => ['worker', label]),
    ...(build.priority === 0 ? [] : [['priority', String(build.priority)] as [string, string]]),
    ...(build.not_before === null ? [] : [['not before', build.not_before] as [string, string]]),
    ...(build.exclusive ? [['exclusive', 'yes'] as [string, string]] : []),
    ...(build.dedupe_key === null ? [] : [['dedupe key', build.dedupe_key] as [string, string]]),
    ...(build.progress && build.ended_at === null
      ? [['step', describeStep(build.progress)] as [string, string]]
      : []),
    ...Object.entries(build.digests).map(([tag, digest]): [string, string] => [tag, digest ?? 'unknown']),
    ['submitted', `${build.created_at} by ${build.submitted_by}`],
    ...(build.started_at === null ? [] : [['started', build.started_at] as [string, string]]),
    ...(build.ended_at === null ? [] : [['ended', build.ended_at] as [string, string]]),
    ...(build.tries.length === 0
      ? []
      : [['tries', `${build.tries_used} of ${build.max_tries} used up`] as [string, string]]),
    ...build.tries.flatMap(describeTry),
  ];
  const table = rows.map(([label, text]) => `${label.padEnd(LABEL_COLUMNS)}${text}\n`).join('');
  return build.error === null ? table : `${table}\n${describeError(build)}`;
}

function describePairs(label: string, pairs: Readonly<Record<string, string>>): [string, string][] {
  const shown = (value: string): string => (/\p{Cc}/u.test(value) ? JSON.stringify(value) : value);
  return Object.entries(pairs).map(([name, value]) => [label, `${name}=${shown(value)}`]);
}

function describeTry(attempt: Try): [string, string][] {
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
    ...(error?.base_error ? [['', error.base_error] as [string, string]] : []),
  ];
}

/** A table of builds. `now` in milliseconds since 1970. */
export function listBuilds(builds: readonly Build[], now: number): string {
  if (builds.length === 0) return 'no builds\n';
  return formatTable(
    ['ID', 'STATE', 'IMAGE', 'AGE', 'TOOK', 'BY'],
    builds.map((build) => [
      build.id.slice(0, ID_SHOWN),
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
