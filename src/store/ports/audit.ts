import type { JsonObject } from './builds.ts';

/** Who does something, as the audit trail says it. */
export interface Actor {
  /** The name of an API token; or KIND:NAME for others: `ticket:…`, `command:…`, `manager:…`. */
  readonly name: string;
  /** Where the request came from; null where it came from no network. */
  readonly address: string | null;
}

export interface NewAuditEntry {
  readonly actor: Actor;
  /** KIND.VERB, as in `build.cancel`. */
  readonly action: string;
  /** The id of what it was done to. */
  readonly object: string;
  /** What else is to be known of it, free of secrets. */
  readonly detail?: JsonObject;
}

export interface AuditEntry {
  /** Counts up, with gaps. */
  readonly id: number;
  readonly at: Date;
  readonly actor: string;
  readonly address: string | null;
  readonly action: string;
  readonly object: string;
  readonly detail: JsonObject;
}

export interface AuditFilter {
  readonly actor?: string | undefined;
  /** An action, or the kind of several: `build` is all of `build.…`. */
  readonly action?: string | undefined;
  readonly object?: string | undefined;
  readonly since?: Date | undefined;
  /** Before this time. */
  readonly until?: Date | undefined;
}

/** Who did what to what. What the store itself does is recorded by the statement that does it; entries are never changed. */
export interface AuditStore {
  /** For an act that is no statement of the store. */
  record(entry: NewAuditEntry): Promise<void>;
  /** Newest first. `cursor` is the last answer's `nextCursor`; one that is none answers with nothing. */
  list(
    filter: AuditFilter,
    page: { readonly limit: number; readonly cursor?: string },
  ): Promise<{ readonly entries: readonly AuditEntry[]; readonly nextCursor: string | null }>;
}
