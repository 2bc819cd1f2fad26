import type { ExtensionName, LeaseClaim } from '../../contract/extensions.ts';
import { LinkError, type RealmSession } from './session.ts';

type Keywords = Readonly<Record<string, unknown>>;

/** A build's way to its manager. */
export interface BuildLink {
  readonly accepted: ReadonlySet<ExtensionName>;
  /** No session now; another one may come. */
  readonly isAway: boolean;
  /** Nothing more will be heard: what is called from now on fails. */
  readonly isOver: boolean;
  /** Called whenever one of the two changed. */
  onChange(listener: () => void): void;
  /**
   * Calls the manager; answers with the first positional of the result. Throws CallError, or LinkError when the link is over. What was
   * called while a connection was lost is called again over the next: `kwargs` then makes them anew, from the last log message that
   * the manager has stored, and null is to be content with `true`.
   */
  call(procedure: string, kwargs: Keywords | ((stored: number) => Keywords | null)): Promise<unknown>;
  /** The log messages up to this one are stored. */
  noteStored(sequence: number): void;
}

/** A link that outlives its connection (extension `resume`). */
export interface ResumableLink extends BuildLink {
  readonly realm: string;
  readonly lease: LeaseClaim;
  /** How long the worker may be away, in milliseconds. */
  readonly graceMs: number;
  /** The last log message that is known to be stored. */
  readonly lastStored: number;
  /** The manager took the worker back, in another session. */
  resume(session: RealmSession): void;
  /** The manager has stored how the build ended: there is nothing more to say. */
  finish(): void;
  readonly isFinished: boolean;
  /** Gives up: whoever waits is answered with this error. */
  end(error: LinkError): void;
  /** Resolves when the link is over, finished or given up, with why. */
  readonly over: Promise<string>;
}

/** The link of a build that ends with its session. */
export function createSessionLink(session: RealmSession): BuildLink {
  let isOver = false;
  let changed = (): void => undefined;
  void session.ended.then(() => {
    isOver = true;
    changed();
  });
  return {
    accepted: session.accepted,
    isAway: false,
    get isOver() {
      return isOver;
    },
    onChange: (listener) => void (changed = listener),
    call: async (procedure, kwargs) => {
      const made = typeof kwargs === 'function' ? kwargs(0) : kwargs;
      return made === null ? true : session.call(procedure, made);
    },
    noteStored: () => undefined,
  };
}

/**
 *      ┌────── resume ────────┐
 *      ▼   its session ends   │
 *   present ───────────────▶ away ──end──▶ over
 *      └── finish ──────────────────────────▲
 */
export function createResumableLink(first: RealmSession, lease: LeaseClaim, graceMs: number): ResumableLink {
  let session: RealmSession | null = null;
  let failure: LinkError | null = null;
  let isFinished = false;
  let lastStored = 0;
  let changed = (): void => undefined;
  const waiting: (() => void)[] = [];
  const over = Promise.withResolvers<string>();

  const change = (): void => {
    for (const go of waiting.splice(0)) go();
    changed();
  };
  const use = (next: RealmSession): void => {
    session = next;
    void next.ended.then(() => {
      if (session !== next) return;
      session = null;
      change();
    });
    change();
  };
  const present = async (): Promise<RealmSession> => {
    for (;;) {
      if (failure) throw failure;
      if (session) return session;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const end = (error: LinkError): void => {
    failure ??= error;
    over.resolve(error.message);
    change();
  };
  use(first);

  return {
    realm: first.realm,
    accepted: first.accepted,
    lease,
    graceMs,
    over: over.promise,
    get isAway() {
      return session === null;
    },
    get isOver() {
      return failure !== null;
    },
    get lastStored() {
      return lastStored;
    },
    onChange: (listener) => void (changed = listener),
    call: async (procedure, kwargs) => {
      for (;;) {
        const current = await present();
        const made = typeof kwargs === 'function' ? kwargs(lastStored) : kwargs;
        if (made === null) return true;
        try {
          return await current.call(procedure, made);
        } catch (error) {
          if (!(error instanceof LinkError)) throw error;
        }
      }
    },
    noteStored: (sequence) => void (lastStored = Math.max(lastStored, sequence)),
    resume: (next) => {
      lastStored = Math.max(lastStored, next.lastStored ?? 0);
      use(next);
    },
    get isFinished() {
      return isFinished;
    },
    finish: () => {
      isFinished = true;
      end(new LinkError('the build has ended'));
    },
    end,
  };
}

export function isResumable(link: BuildLink): link is ResumableLink {
  return 'lease' in link;
}
