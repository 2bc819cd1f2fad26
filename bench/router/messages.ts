/** What the benchmark and its processes tell each other. */

/** To `server.ts`, which answers with `listening`, and `memory` with `memory`. */
export type ServerRequest =
  { readonly type: 'listen'; readonly mode: ServerMode } | { readonly type: 'memory' };
export type ServerReply =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'memory'; readonly resident: number };

/** What the server does: give back what it gets, or route; `realms` has a realm of its own for each session. */
export type ServerMode = 'echo' | 'router' | 'realms';

/** To `client.ts`, which answers each with `done`. */
export type ClientRequest =
  | {
      readonly type: 'load';
      readonly mode: 'echo' | 'router';
      readonly port: number;
      readonly milliseconds: number;
    }
  | { readonly type: 'idle'; readonly port: number; readonly sessions: number };
export interface ClientReply {
  readonly type: 'done';
  /** Round trips a second; sessions opened, for `idle`. */
  readonly value: number;
}
