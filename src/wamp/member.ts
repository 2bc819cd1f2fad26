import type { Dict } from './json.ts';
import type { RouterMessage } from './messages.ts';
import { SparseMap } from './sparse-map.ts';
import type { MatchPolicy } from './uris.ts';

/** Who a member is, as a realm's policy decided; null where it did not say. */
export interface Identity {
  readonly authid: string | null;
  readonly authrole: string | null;
}

/** A topic, or a pattern of topics, and who listens. Its id is the same for all of them. */
export interface Subscription {
  readonly id: number;
  readonly uri: string;
  readonly match: MatchPolicy;
  readonly subscribers: Set<Member>;
}

/** A procedure, or a pattern of procedures, and who offers it. */
export interface Registration {
  readonly id: number;
  readonly uri: string;
  readonly match: MatchPolicy;
  readonly invoke: InvocationPolicy;
  /** In the order in which they came. */
  readonly callees: Member[];
  /** Where `roundrobin` goes on. */
  next: number;
}

/** Which of several callees is invoked (WAMP, "Shared Registration"). */
export const invocationPolicies = ['single', 'first', 'last', 'roundrobin', 'random'] as const;
export type InvocationPolicy = (typeof invocationPolicies)[number];

/** A call that waits for its answer. */
export interface PendingCall {
  readonly caller: Member;
  /** CALL.Request, in the caller's scope. */
  readonly request: number;
  readonly callee: Member;
  /** INVOCATION.Request, in the callee's scope. */
  readonly invocation: number;
  readonly receivesProgress: boolean;
  /** Milliseconds; 0 for none. */
  readonly timeout: number;
  timer: NodeJS.Timeout | null;
}

/** A message that goes to many, written once. */
export class SharedMessage {
  readonly message: RouterMessage;
  #text: string | null = null;

  constructor(message: RouterMessage) {
    this.message = message;
  }

  get text(): string {
    return (this.#text ??= JSON.stringify(this.message));
  }
}

/** Who takes part in a realm, over a connection or within the process, and what it has open there. */
export abstract class Member {
  readonly id: number;
  readonly identity: Identity;
  /** As a caller, by CALL.Request. */
  readonly calls = new SparseMap<number, PendingCall>();
  /** As a callee, by INVOCATION.Request. */
  readonly invocations = new SparseMap<number, PendingCall>();
  /** By REGISTERED.Registration. */
  readonly registrations = new SparseMap<number, Registration>();
  /** By SUBSCRIBED.Subscription. */
  readonly subscriptions = new SparseMap<number, Subscription>();
  #lastInvocation = 0;

  constructor(id: number, identity: Identity) {
    this.id = id;
    this.identity = identity;
  }

  /** Whether it announced, as a callee, that it understands INTERRUPT. Others end their session on it. */
  abstract readonly interruptible: boolean;

  /** Hands a message over. It never calls back before it returns. */
  abstract deliver(message: RouterMessage): void;

  /** The same for a message that goes to many. */
  abstract deliverShared(message: SharedMessage): void;

  /** The next id of the session scope, router to client: counts up from 1. */
  nextInvocation(): number {
    return ++this.#lastInvocation;
  }
}

/** The realm's own member, whose handlers are functions. */
export interface LocalMember extends Member {
  /** Whether it offers a procedure without having registered it. */
  offers(procedure: string): boolean;
  /** `registration` is null for such a procedure. */
  invoke(
    call: PendingCall,
    registration: number | null,
    procedure: string,
    args: readonly unknown[] | undefined,
    kwargs: Dict | undefined,
  ): void;
  /** Whether it listens to a topic without having subscribed to it. */
  listens(topic: string): boolean;
  /** `subscription` is null for such a topic. */
  receive(
    subscription: number | null,
    topic: string,
    publication: number,
    publisher: Member,
    args: readonly unknown[] | undefined,
    kwargs: Dict | undefined,
  ): void;
}
