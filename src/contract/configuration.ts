import convict from 'convict';
import { readBoundedSync } from './bounded-file.ts';
import { reasonOf } from './reason.ts';

/** How the programs are configured: by the environment, and by an optional file whose names are the same. */

/** The largest file that settings, or one of them, are read from, in bytes. */
export const SETTINGS_FILE_MAX_BYTES = 1024 * 1024;

interface SettingSpec<T> {
  /** What it does, in a sentence or two, for the reference. */
  readonly doc: string;
  /** What a value must be, so that "must be …" is a sentence. */
  readonly rule: string;
  /** A value that is right. */
  readonly example: string;
  /** Never shown, in no message. */
  readonly secret?: true;
  /** Also accepts `NAME_FILE`, the path of a file that holds the value. */
  readonly file?: true;
  /** Reads a value, which is never empty; undefined when it does not follow the rule. */
  readonly read: (text: string) => T | undefined;
}

export interface Setting<T> extends SettingSpec<T> {
  /** As it would be written; null when the setting may be absent. */
  readonly default: string | null;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;
export type SettingValues<S extends Settings> = {
  readonly [Name in keyof S]: S[Name] extends Setting<infer T> ? T : never;
};

/** A program's settings by the names of their environment variables, which are also their names in the file. */
export interface Configuration<S extends Settings> {
  readonly program: string;
  readonly settings: S;
  /** What settings that are right one by one must be together. */
  readonly rules?: readonly SettingRule<SettingValues<S>>[];
}

/** A rule between settings. */
interface SettingRule<Values> {
  readonly isBroken: (values: Values) => boolean;
  /** What is wrong then, and what to do: a sentence that begins with the name of a setting and a colon. */
  readonly problem: string;
}

/** Declares a setting. Without a default its value is null when nobody gave one. */
export function setting<T>(spec: SettingSpec<T> & { readonly default: string }): Setting<T>;
export function setting<T>(spec: SettingSpec<T>): Setting<T | null>;
export function setting<T>(spec: SettingSpec<T> & { readonly default?: string }): Setting<T | null> {
  return { ...spec, default: spec.default ?? null };
}

/** Some settings are wrong; each problem names one, what it must be and an example, and shows no secret. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * Reads every setting: the environment wins over the file, an empty value counts as none. Throws one ConfigurationError for
 * everything that is wrong. A name of the environment that is no setting is ignored; one in the file is refused.
 */
export function loadConfiguration<S extends Settings>(
  configuration: Configuration<S>,
  sources: { readonly environment: Readonly<NodeJS.ProcessEnv>; readonly file?: string | undefined },
): SettingValues<S> {
  const problems: string[] = [];
  const names = Object.keys(configuration.settings);
  const fromFile = sources.file ? readSettingsFile(configuration.settings, sources.file, problems) : {};
  const environment = withFiles(configuration.settings, sources.environment, problems);
  const schema = Object.fromEntries(
    Object.entries(configuration.settings).map(([name, each]) => [
      name,
      { doc: each.doc, env: name, default: each.default, sensitive: true, format: check(each) },
    ]),
  );
  const config = convict<Record<string, string | null>>(schema, { env: environment, args: [] });
  config.load(fromFile);
  try {
    config.validate({ allowed: 'strict' });
  } catch (error) {
    problems.push(...(error instanceof Error ? error.message.split('\n') : [String(error)]));
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  const entries = names.map((name) => {
    const text = config.get(name);
    return [name, text === null ? null : configuration.settings[name]?.read(text)];
  });
  const values = Object.fromEntries(entries) as SettingValues<S>;
  const broken = (configuration.rules ?? []).filter(({ isBroken }) => isBroken(values));
  if (broken.length > 0) throw new ConfigurationError(broken.map(({ problem }) => problem));
  return values;
}

/** What differs from the defaults, without what is secret: for those who ask how a program was set. */
export function chosenSettings<S extends Settings>(
  { settings }: Configuration<S>,
  values: SettingValues<S>,
): Record<string, unknown> {
  const chosen = Object.entries(settings).filter(([name, each]) => {
    const usual = each.default === null ? null : each.read(each.default);
    return !each.secret && JSON.stringify(values[name]) !== JSON.stringify(usual);
  });
  return Object.fromEntries(chosen.map(([name]) => [name, values[name]]));
}

function check(each: Setting<unknown>): (text: string | null) => void {
  return (text) => {
    if (text === null || each.read(text) !== undefined) return;
    const given = each.secret ? '' : `; it is ${JSON.stringify(withoutUserinfo(text.slice(0, 200)))}`;
    throw new Error(`must be ${each.rule}, for example ${each.example}${given}`);
  };
}

/** The environment without empty values, and with what `NAME_FILE` points at. */
function withFiles(
  settings: Settings,
  environment: Readonly<NodeJS.ProcessEnv>,
  problems: string[],
): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, each] of Object.entries(settings)) {
    const text = environment[name] ?? '';
    if (text !== '') given[name] = text;
    const path = each.file ? (environment[`${name}_FILE`] ?? '') : '';
    if (path === '') continue;
    if (text !== '') problems.push(`${name}: give either ${name} or ${name}_FILE, not both`);
    try {
      const content = readBoundedSync(path, SETTINGS_FILE_MAX_BYTES)
        .toString('utf8')
        .replace(/\r?\n$/, '');
      if (content === '') problems.push(`${name}_FILE: the file is empty: ${path}`);
      else given[name] = content;
    } catch (error) {
      problems.push(`${name}_FILE: must be the path of a readable file: ${reasonOf(error)}`);
    }
  }
  return given;
}

function readSettingsFile(settings: Settings, path: string, problems: string[]): Record<string, string> {
  let content: unknown;
  try {
    content = JSON.parse(readBoundedSync(path, SETTINGS_FILE_MAX_BYTES).toString('utf8'));
  } catch (error) {
    // A JSON parser quotes what it read, which may be a secret.
    const reason = error instanceof SyntaxError ? 'it is not JSON' : reasonOf(error);
    problems.push(`CONFIG_FILE: must be the path of a readable JSON file: ${reason}: ${path}`);
    return {};
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    problems.push(`CONFIG_FILE: must hold one JSON object, names and values: ${path}`);
    return {};
  }
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(content)) {
    if (!Object.hasOwn(settings, name)) problems.push(`${name}: is no setting; it stands in ${path}`);
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      if (value !== '') given[name] = String(value);
    } else problems.push(`${name}: must be a text, a number, true or false; it stands in ${path}`);
  }
  return given;
}

function withoutUserinfo(text: string): string {
  return text.replace(/\/\/[^/\s]*@/g, '//***@');
}

/** The reference of a program's settings, in Markdown, for `docs/reference/`. */
export function configurationReference(configuration: {
  readonly program: string;
  readonly settings: Settings;
}): string {
  const sections = Object.entries(configuration.settings).map(([name, each]) => {
    const lines = [
      `- must be ${each.rule}`,
      `- example: \`${name}=${each.example}\``,
      each.default ? `- default: \`${each.default}\`` : '- not set by default',
      ...(each.file ? [`- or \`${name}_FILE\`, the path of a file that holds it`] : []),
      ...(each.secret ? ['- secret: never shown'] : []),
    ];
    return `## \`${name}\`\n\n${each.doc}\n\n${lines.join('\n')}\n`;
  });
  return [
    `# Settings of ${configuration.program}\n`,
    '<!-- Generated by scripts/configuration-reference.ts from the schema; do not edit. -->\n',
    `Each is read from the environment, or from a JSON file of the same names (\`CONFIG_FILE\`, or \`--config FILE\`);`,
    `the environment wins, and an empty value counts as none. Every wrong one is named at start, with its rule and an example.\n`,
    ...sections,
  ].join('\n');
}

/** Reads a whole number between two bounds, both included. */
export function readInteger(min: number, max: number): (text: string) => number | undefined {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
}

/** Reads one of these words. */
export function readChoice<const T extends string>(words: readonly T[]): (text: string) => T | undefined {
  return (text) => words.find((word) => word === text);
}

/** Reads a URL of one of these schemes (`https:`), without userinfo. */
export function readUrl(schemes: readonly string[]): (text: string) => URL | undefined {
  return (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url && schemes.includes(url.protocol) && url.username === '' && url.password === ''
      ? url
      : undefined;
  };
}

/** Reads any text: for paths and names. */
export function readText(text: string): string {
  return text;
}
