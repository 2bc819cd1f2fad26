import { Arg, Copy, DockerfileParser, From, Run, type Dockerfile, type Instruction } from 'dockerfile-ast';
import { BuildError } from '../../../contract/build-errors.ts';
import type { BaseImage, FetchedSource } from '../source.ts';
import { quote } from '../../../contract/words.ts';
import { DEFAULT_REGISTRY, imageKey, parseImageName } from './image-name.ts';
import { countFrom } from './more-images.ts';
import { substitute, type Variables } from './substitute.ts';

/** What a Dockerfile says of images; see {@link FetchedSource}. A `base` that could not be read is not among the `images`. */
export type DockerfileImages = Pick<FetchedSource, 'base' | 'images' | 'uncertain' | 'mayNameMore'>;

/** Set by the engine for the platform it builds on (Dockerfile reference, "Automatic platform ARGs in the global scope"). */
const SET_BY_ENGINE: ReadonlySet<string> = new Set(
  ['TARGET', 'BUILD'].flatMap((side) => ['PLATFORM', 'OS', 'ARCH', 'VARIANT'].map((what) => side + what)),
);
/** The platform that is built for, which is what a FROM without one takes. */
const TARGET = /^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/;
/** What a stage may be called; a further name of another kind is an image's (Dockerfile reference, "FROM"). */
const STAGE_NAME = /^[a-z][a-z0-9_.-]*$/;
/** Quotes and escapes, which each engine takes away from a variable's value in its own way. */
const QUOTING = /["'`\\]/;
/** Frontends whose language this reader knows; another one may read the file in its own way. */
const KNOWN_SYNTAX = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/;

/** What a build says of its own to its Dockerfile. */
export interface DockerfileOptions {
  /** The values of declared ARGs, before their defaults. */
  readonly buildArgs: Readonly<Record<string, string>>;
  /** The stage that is built, by name or number; '' is the last. */
  readonly target: string;
}

interface Stage {
  readonly name: string | null;
  /** What the stage starts from: an image, the number of an earlier stage, or null when its name could not be read. */
  readonly from: BaseImage | number | null;
  /** The name as it is written. */
  readonly written: string;
}

/**
 * Reads which images a Dockerfile builds on, up to the stage that is built. Throws a BuildError `dockerfileissue` that points at the line for what
 * no engine would build; what only some engines know is left to them, and makes the answer `uncertain`.
 */
export function readDockerfile(
  text: string,
  shown: string,
  { buildArgs, target }: DockerfileOptions = { buildArgs: {}, target: '' },
): DockerfileImages {
  const dockerfile = DockerfileParser.parse(text.replace(/^\uFEFF/, ''));
  const foreign = foreignSyntax(dockerfile);
  if (foreign !== null) {
    return { base: asWritten(foreign), images: [], uncertain: true, mayNameMore: true };
  }

  const escape = dockerfile.getEscapeCharacter();
  const variables: Variables = { values: new Map(), unknown: new Set(SET_BY_ENGINE) };
  const given = new Map(Object.entries(buildArgs));
  const stages: Stage[] = [];
  const numbers = new Map<string, number>();
  const found: BaseImage[] = [];
  /** How many images were found before each stage. */
  const foundBefore: number[] = [];
  let uncertain = false;
  /** How many of the letters FROM were read as what names an image. */
  let fromRead = 0;
  const declared = new Set<string>();
  /** Whether engines may differ in what the variables are, and whether a FROM has one. */
  const variable = { isOdd: false, isUsed: false };
  const issue = (instruction: Instruction, what: string): BuildError =>
    new BuildError(
      'dockerfileissue',
      `${quote(shown)}, line ${instruction.getRange().start.line + 1}: ${what}`,
    );

  const readFrom = (instruction: From): Stage => {
    const [written = '', as, name, ...more] = instruction.getArguments().map((word) => word.getValue());
    const named = as?.toUpperCase() === 'AS' && name !== undefined && more.length === 0;
    if (written === '' || (as !== undefined && !named)) {
      throw issue(instruction, 'FROM takes one image, and AS with a name if the stage gets one.');
    }
    fromRead += 1 + countFrom(written) + countFrom(name ?? '');
    variable.isUsed ||= written.includes('$');
    variable.isOdd ||= QUOTING.test(written);
    const stage = { name: name?.toLowerCase() ?? null, written };
    const image = substitute(written, variables, escape);
    if (image === null) return { ...stage, from: null };
    if (image === '') {
      throw issue(
        instruction,
        `FROM ${quote(written)} names no image: give its ARG a default before the first FROM.`,
      );
    }
    const earlier = numbers.get(image.toLowerCase());
    if (earlier !== undefined) return { ...stage, from: earlier };
    const parsed = parseImageName(image);
    if (parsed === null) {
      throw issue(
        instruction,
        `${quote(image)} is no image name: it takes lower case, then :TAG or @DIGEST.`,
      );
    }
    const flag = instruction.getPlatformFlag()?.getValue() ?? '';
    const platform =
      flag === '' || TARGET.test(flag) ? {} : { platform: substitute(flag, variables, escape) ?? '' };
    return { ...stage, from: { ...parsed, ...platform } };
  };

  /** What a `--from` names: a stage, by name or number, or an image. */
  const readSource = (source: string): void => {
    fromRead += 1 + countFrom(source);
    if (numbers.has(source.toLowerCase()) || (/^\d+$/.test(source) && Number(source) < stages.length)) return;
    const image = parseImageName(source);
    if (image === null) uncertain = true;
    else found.push(image);
  };

  for (const instruction of dockerfile.getInstructions()) {
    if (instruction instanceof From) {
      const stage = readFrom(instruction);
      foundBefore.push(found.length);
      stages.push(stage);
      if (stage.name !== null && STAGE_NAME.test(stage.name)) numbers.set(stage.name, stages.length - 1);
      if (stage.from === null) uncertain = true;
      else if (typeof stage.from === 'object') found.push(stage.from);
    } else if (stages.length === 0) {
      if (!(instruction instanceof Arg)) {
        throw issue(
          instruction,
          `${quote(instruction.getInstruction())} comes before the first FROM; only ARG may.`,
        );
      }
      const names = declare(instruction, variables, escape, given);
      variable.isOdd ||=
        names.some((name) => declared.has(name)) || QUOTING.test(instruction.getArgumentsContent() ?? '');
      for (const name of names) declared.add(name);
    } else {
      sourcesOf(instruction).forEach(readSource);
    }
  }

  if (stages.length === 0) {
    throw new BuildError(
      'dockerfileissue',
      `${quote(shown)} has no FROM, which every Dockerfile begins with.`,
    );
  }
  const number = target === '' ? stages.length - 1 : (numbers.get(target.toLowerCase()) ?? numberIn(target));
  const built = stages[number];
  if (built === undefined) {
    const names = stages.flatMap(({ name }) => (name === null ? [] : [quote(name)]));
    throw new BuildError(
      'dockerfileissue',
      `${quote(shown)} has no stage ${quote(target)}, which is the target. ` +
        (names.length === 0 ? 'None of its stages has a name.' : `Its stages are ${names.join(', ')}.`),
    );
  }
  const base = baseOf(built, stages);
  const first = typeof base.from === 'object' && base.from !== null ? [base.from] : [];
  return {
    base: first[0] ?? asWritten(base.written),
    images: distinct([...first, ...found.slice(0, foundBefore[number + 1])]),
    uncertain,
    mayNameMore: countFrom(text) > fromRead || (variable.isOdd && variable.isUsed),
  };
}

/** The frontend image that a `# syntax=` directive names, when it is not Docker's own. */
function foreignSyntax(dockerfile: Dockerfile): string | null {
  const directive = dockerfile.getDirectives().find((each) => each.getName().toLowerCase() === 'syntax');
  const image = directive?.getValue().trim() ?? '';
  return image === '' || KNOWN_SYNTAX.test(image) ? null : image;
}

/** The number that a target is, or one that no stage has. */
function numberIn(target: string): number {
  return /^\d{1,6}$/.test(target) ? Number(target) : -1;
}

/**
 * Takes the values of an ARG before the first FROM: those that the build gives, else the defaults. Those that the engine sets stay
 * its own, whatever they get. Answers with the names.
 */
function declare(
  instruction: Arg,
  { values, unknown }: Variables,
  escape: string,
  given: ReadonlyMap<string, string>,
): string[] {
  const names: string[] = [];
  for (const argument of instruction.getPropertyArguments()) {
    const [, name = '', written] = /^([^=]*)(?:=(.*))?$/s.exec(argument.getValue()) ?? [];
    names.push(name);
    if (SET_BY_ENGINE.has(name)) continue;
    const value =
      given.get(name) ??
      (written === undefined ? undefined : substitute(written, { values, unknown }, escape));
    if (value === undefined) continue;
    if (value === null) unknown.add(name);
    else {
      unknown.delete(name);
      values.set(name, value);
    }
  }
  return names;
}

/** The `--from` of a COPY, and those of a RUN's mounts. */
function sourcesOf(instruction: Instruction): string[] {
  const flags = instruction instanceof Copy || instruction instanceof Run ? instruction.getFlags() : [];
  return flags.flatMap((flag) => {
    const value = flag.getValue() ?? '';
    if (instruction instanceof Copy) return flag.getName() === 'from' ? [value] : [];
    if (flag.getName() !== 'mount') return [];
    return value.split(',').flatMap((option) => (option.startsWith('from=') ? [option.slice(5)] : []));
  });
}

/** The stage at the bottom of those that a stage builds on. */
function baseOf(stage: Stage, stages: readonly Stage[]): Stage {
  let bottom = stage;
  while (typeof bottom.from === 'number') {
    const below = stages[bottom.from];
    if (below === undefined) break;
    bottom = below;
  }
  return bottom;
}

function distinct(images: readonly BaseImage[]): BaseImage[] {
  const byKey = new Map<string, BaseImage>();
  for (const image of images) {
    const key = `${imageKey(image)} ${image.platform ?? 'as the build'}`;
    if (image.reference !== 'scratch' && !byKey.has(key)) byKey.set(key, image);
  }
  return [...byKey.values()];
}

/** A name that only the engine can read, for the log. */
function asWritten(name: string): BaseImage {
  return { reference: name, registry: DEFAULT_REGISTRY, name, tag: 'latest' };
}
