import type { Build, LogRecord, Try } from '../src/contract/api.ts';
import type { BuildState } from '../src/contract/phases.ts';
import type { Fault, Order, StrikePoint } from './schedule.ts';

/** Everything that a run saw of the farm, from outside: what the checker judges. Times are milliseconds since 1970. */
export interface Observations {
  /** Submits that were answered with an id. */
  readonly accepted: readonly Accepted[];
  /** Submits whose answer never came: they may have been accepted. */
  readonly doubtful: readonly Order[];
  /** The states in which builds were seen, in the order of the answers. One that says what the last one said is left out. */
  readonly sightings: readonly Sighting[];
  /** What the API lists at the end. */
  readonly builds: readonly SeenBuild[];
  /** The records of each listed build, in the order in which the API gives them. */
  readonly logs: ReadonlyMap<string, readonly SeenRecord[]>;
  /** What the registry has under each digest that a build recorded. */
  readonly manifests: ReadonlyMap<string, Manifest>;
  readonly leftovers: readonly Leftover[];
  readonly ownErrors: readonly OwnError[];
  readonly strikes: readonly Strike[];
}

/** What of a build, its tries and its log is judged. */
export interface SeenBuild extends Pick<
  Build,
  'id' | 'state' | 'ended_at' | 'tag_names' | 'image_id' | 'digests'
> {
  readonly tries: readonly SeenTry[];
}
export type SeenTry = Pick<Try, 'number' | 'started_at' | 'ended_at' | 'outcome'>;
export type SeenRecord = Pick<LogRecord, 'try' | 'seq' | 'stream' | 'text'>;

export interface Accepted {
  readonly id: string;
  readonly order: Order;
}

export interface Sighting {
  readonly build: string;
  /** Which manager said so. */
  readonly manager: string;
  /** When it was asked, and when it had answered. */
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly state: BuildState;
  /** All that must not change any more once the build has ended. */
  readonly end: string;
}

/** `absent`, or what hangs below the manifest. */
export type Manifest =
  | { readonly type: 'absent' }
  | {
      readonly type: 'found';
      /** The digest of the image's configuration, which is the image's id. */
      readonly config: string;
      /** Digests of blobs that the manifest names and the registry has not. */
      readonly missingBlobs: readonly string[];
    };

/** A line that a manager logged of an error of its own. */
export interface OwnError {
  readonly program: string;
  /** The build, where it names one. */
  readonly build: string | null;
  /** As it was logged. */
  readonly line: string;
}

/** Something that should not be there when every build has ended. */
export interface Leftover {
  readonly kind:
    | 'worker'
    | 'process'
    | 'lease'
    | 'realm'
    | 'credential'
    | 'secret'
    | 'hosted worker'
    | 'container'
    | 'image name'
    | 'package'
    | 'file'
    | 'folder';
  readonly name: string;
}

/** A fault that was inflicted, and where it met a build. null: no build was anywhere any more. */
export interface Strike {
  readonly fault: Fault;
  readonly victim: string;
  readonly build: string | null;
  readonly at: StrikePoint | null;
  readonly startedAt: number;
  readonly endedAt: number;
}
