import { discloseAs, withPayload } from './broker.ts';
import { errorUris, ProtocolViolation } from './errors.ts';
import { invocationPolicies } from './member.ts';
import type { InvocationPolicy, LocalMember, Member, PendingCall, Registration } from './member.ts';
import type { Dict } from './json.ts';
import { Code } from './messages.ts';
import type {
  CallMessage,
  CancelMessage,
  ErrorMessage,
  RegisterMessage,
  UnregisterMessage,
  YieldMessage,
} from './messages.ts';
import { booleanOption, choiceOption, durationOption } from './options.ts';
import { Patterns } from './patterns.ts';
import type { Drop } from './policy.ts';
import { isReserved } from './uris.ts';
import type { MatchPolicy } from './uris.ts';

const cancelModes = ['killnowait', 'kill', 'skip'] as const;
type CancelMode = (typeof cancelModes)[number];

/** setTimeout takes no longer time. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** Routes calls of a realm to those who offer the procedures (WAMP, "Remote Procedure Calls"). URIs were checked before. */
export class Dealer {
  readonly #registrations = new Patterns<Registration>();
  readonly #local: LocalMember;
  readonly #random: () => number;
  readonly #nextId: () => number;
  readonly #dropped: (drop: Drop) => void;

  constructor(local: LocalMember, random: () => number, nextId: () => number, dropped: (drop: Drop) => void) {
    this.#local = local;
    this.#random = random;
    this.#nextId = nextId;
    this.#dropped = dropped;
  }

  handleRegister(member: Member, message: RegisterMessage, match: MatchPolicy): void {
    const [, request, options, procedure] = message;
    const invoke = choiceOption(options, 'invoke', invocationPolicies);
    const registration = this.register(member, procedure, match, invoke);
    member.deliver(
      registration
        ? [Code.REGISTERED, request, registration.id]
        : [Code.ERROR, Code.REGISTER, request, {}, errorUris.procedureAlreadyExists],
    );
  }

  /** Null when the procedure is taken, or the member already offers it. */
  register(
    member: Member,
    procedure: string,
    match: MatchPolicy,
    invoke: InvocationPolicy,
  ): Registration | null {
    if (match === 'exact' && this.#local.offers(procedure)) return null;
    let registration = this.#registrations.get(procedure, match);
    if (registration) {
      const shared = invoke !== 'single' && registration.invoke === invoke;
      if (!shared || registration.callees.includes(member)) return null;
    } else {
      registration = { id: this.#nextId(), uri: procedure, match, invoke, callees: [], next: 0 };
      this.#registrations.add(registration);
    }
    registration.callees.push(member);
    member.registrations.set(registration.id, registration);
    return registration;
  }

  handleUnregister(member: Member, message: UnregisterMessage): void {
    const registration = member.registrations.get(message[2]);
    if (registration) {
      this.unregister(member, registration);
      member.deliver([Code.UNREGISTERED, message[1]]);
    } else {
      member.deliver([Code.ERROR, Code.UNREGISTER, message[1], {}, errorUris.noSuchRegistration]);
    }
  }

  unregister(member: Member, registration: Registration): void {
    member.registrations.delete(registration.id);
    registration.callees.splice(registration.callees.indexOf(member), 1);
    if (registration.callees.length === 0) this.#registrations.delete(registration);
  }

  handleCall(caller: Member, message: CallMessage): void {
    const request = message[1];
    const options = message[2];
    const procedure = message[3];
    if (caller.calls.get(request)) {
      throw new ProtocolViolation('a call has the request id of one that still waits for its answer');
    }
    const timeout = durationOption(options, 'timeout');
    const receivesProgress = booleanOption(options, 'receive_progress', false);
    const disclosed = booleanOption(options, 'disclose_me', false);
    const registration = this.#find(procedure);
    if (!registration && !this.#local.offers(procedure)) {
      const text = `no callee is registered for ${procedure}`;
      caller.deliver([Code.ERROR, Code.CALL, request, {}, errorUris.noSuchProcedure, [text]]);
      return;
    }
    const callee = registration ? this.#choose(registration) : this.#local;
    const call: PendingCall = {
      caller,
      request,
      callee,
      invocation: callee.nextInvocation(),
      receivesProgress,
      timeout,
      timer: null,
    };
    if (callee === this.#local) {
      this.#open(call);
      this.#local.invoke(call, registration?.id ?? null, procedure, message[4], message[5]);
      return;
    }
    const details: Dict = disclosed ? discloseAs('caller', caller) : {};
    if (receivesProgress) details['receive_progress'] = true;
    if (registration && registration.match !== 'exact') details['procedure'] = procedure;
    callee.deliver(
      withPayload([Code.INVOCATION, call.invocation, registration?.id, details], message[4], message[5]),
    );
    // Only now: an owner's arguments that are not fit for JSON have thrown before.
    this.#open(call);
  }

  handleCancel(caller: Member, message: CancelMessage): void {
    const mode = choiceOption(message[2], 'mode', cancelModes);
    // The answer may have crossed the cancellation on its way.
    const call = caller.calls.get(message[1]);
    if (call) this.#cancel(call, mode, errorUris.canceled, 'the caller has cancelled the call');
  }

  handleYield(callee: Member, message: YieldMessage): void {
    const call = callee.invocations.get(message[1]);
    if (!call) {
      this.#dropped('answer');
      return;
    }
    if (booleanOption(message[2], 'progress', false)) {
      this.progress(call, message[3], message[4]);
    } else {
      this.settle(call, message[3], message[4]);
    }
  }

  handleError(callee: Member, message: ErrorMessage, uri: string): void {
    const call = callee.invocations.get(message[2]);
    if (!call) {
      this.#dropped('answer');
      return;
    }
    this.fail(call, uri, message[5], message[6]);
  }

  /** Answers a call with one of several results. */
  progress(call: PendingCall, args: readonly unknown[] | undefined, kwargs: Dict | undefined): void {
    if (!this.#waits(call) || !call.receivesProgress) {
      this.#dropped('answer');
      return;
    }
    if (call.timer) this.#startTimer(call);
    call.caller.deliver(withPayload([Code.RESULT, call.request, { progress: true }], args, kwargs));
  }

  /** Answers a call. */
  settle(call: PendingCall, args: readonly unknown[] | undefined, kwargs: Dict | undefined): void {
    if (!this.#waits(call)) {
      this.#dropped('answer');
      return;
    }
    call.caller.deliver(withPayload([Code.RESULT, call.request, {}], args, kwargs));
    this.#forget(call);
  }

  /** Answers a call with an error. */
  fail(call: PendingCall, uri: string, args?: readonly unknown[], kwargs?: Dict): void {
    if (!this.#waits(call)) {
      this.#dropped('answer');
      return;
    }
    call.caller.deliver(withPayload([Code.ERROR, Code.CALL, call.request, {}, uri], args, kwargs));
    this.#forget(call);
  }

  /** Forgets a member that has gone: nobody waits for its answers, nor it for anyone's. */
  leave(member: Member): void {
    for (const registration of member.registrations.values()) this.unregister(member, registration);
    // Its own calls first, so that it is told nothing more, not even of those that it answers itself.
    for (const call of member.calls.values()) {
      this.#forget(call);
      if (call.callee !== member) interrupt(call, 'killnowait');
    }
    for (const call of member.invocations.values()) {
      this.fail(call, errorUris.canceled, ['callee disconnected from in-flight request']);
    }
  }

  #find(procedure: string): Registration | null {
    const exact = this.#registrations.get(procedure, 'exact');
    if (exact) return exact;
    // No pattern stands for what is WAMP's own.
    return this.#local.offers(procedure) || isReserved(procedure)
      ? null
      : this.#registrations.best(procedure);
  }

  /** The callee whose turn it is. A registration has at least one. */
  #choose(registration: Registration): Member {
    const { callees } = registration;
    let index = 0;
    switch (registration.invoke) {
      case 'single':
      case 'first':
        break;
      case 'last':
        index = callees.length - 1;
        break;
      case 'roundrobin':
        index = registration.next++ % callees.length;
        break;
      case 'random':
        index = Math.floor(this.#random() * callees.length);
        break;
    }
    const callee = callees[index];
    if (!callee) throw new Error(`registration ${registration.id} has no callee`);
    return callee;
  }

  #open(call: PendingCall): void {
    call.caller.calls.set(call.request, call);
    call.callee.invocations.set(call.invocation, call);
    if (call.timeout > 0) this.#startTimer(call);
  }

  #waits(call: PendingCall): boolean {
    return call.callee.invocations.get(call.invocation) === call;
  }

  #forget(call: PendingCall): void {
    if (call.timer) clearTimeout(call.timer);
    call.caller.calls.delete(call.request);
    call.callee.invocations.delete(call.invocation);
  }

  /** The time for an answer; where results come one by one, for the next of them (WAMP, "Call Timeouts"). */
  #startTimer(call: PendingCall): void {
    if (call.timer) {
      call.timer.refresh();
      return;
    }
    call.timer = setTimeout(
      () => this.#cancel(call, 'killnowait', errorUris.timeout, 'the call has timed out'),
      Math.min(call.timeout, LONGEST_TIMEOUT),
    );
  }

  /** WAMP, "Call Canceling". A callee that does not understand INTERRUPT is never sent one: the mode is then `skip`. */
  #cancel(call: PendingCall, mode: CancelMode, uri: string, text: string): void {
    if (mode === 'kill' && call.callee.interruptible) {
      interrupt(call, mode);
      return;
    }
    this.fail(call, uri, [text]);
    if (mode !== 'skip') interrupt(call, 'killnowait');
  }
}

function interrupt(call: PendingCall, mode: 'kill' | 'killnowait'): void {
  if (call.callee.interruptible) call.callee.deliver([Code.INTERRUPT, call.invocation, { mode }]);
}
