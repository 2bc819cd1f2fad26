import { errorUris } from './errors.ts';
import { globalId } from './ids.ts';
import { SharedMessage } from './member.ts';
import type { LocalMember, Member, Subscription } from './member.ts';
import type { Dict } from './json.ts';
import { Code } from './messages.ts';
import type { PublishMessage, RouterMessage, SubscribeMessage, UnsubscribeMessage } from './messages.ts';
import { booleanOption, idsOption, stringsOption } from './options.ts';
import { Patterns } from './patterns.ts';
import type { MatchPolicy } from './uris.ts';

/** Hands what is published in a realm to those who listen (WAMP, "Publish and Subscribe"). URIs were checked before. */
export class Broker {
  readonly #subscriptions = new Patterns<Subscription>();
  readonly #local: LocalMember;
  readonly #random: () => number;
  readonly #nextId: () => number;

  constructor(local: LocalMember, random: () => number, nextId: () => number) {
    this.#local = local;
    this.#random = random;
    this.#nextId = nextId;
  }

  handleSubscribe(member: Member, message: SubscribeMessage, match: MatchPolicy): void {
    const subscription = this.subscribe(member, message[3], match);
    member.deliver([Code.SUBSCRIBED, message[1], subscription.id]);
  }

  /** A topic that is subscribed to twice by one member is one subscription. */
  subscribe(member: Member, topic: string, match: MatchPolicy): Subscription {
    let subscription = this.#subscriptions.get(topic, match);
    if (!subscription) {
      subscription = { id: this.#nextId(), uri: topic, match, subscribers: new Set() };
      this.#subscriptions.add(subscription);
    }
    subscription.subscribers.add(member);
    member.subscriptions.set(subscription.id, subscription);
    return subscription;
  }

  handleUnsubscribe(member: Member, message: UnsubscribeMessage): void {
    const subscription = member.subscriptions.get(message[2]);
    if (subscription) {
      this.unsubscribe(member, subscription);
      member.deliver([Code.UNSUBSCRIBED, message[1]]);
    } else {
      member.deliver([Code.ERROR, Code.UNSUBSCRIBE, message[1], {}, errorUris.noSuchSubscription]);
    }
  }

  unsubscribe(member: Member, subscription: Subscription): void {
    member.subscriptions.delete(subscription.id);
    subscription.subscribers.delete(member);
    if (subscription.subscribers.size === 0) this.#subscriptions.delete(subscription);
  }

  /** Forgets a member that has gone. */
  leave(member: Member): void {
    for (const subscription of member.subscriptions.values()) this.unsubscribe(member, subscription);
  }

  publish(publisher: Member, message: PublishMessage): void {
    const [, request, options, topic, args, kwargs] = message;
    const receives = receiverFilter(publisher, options);
    const disclosed = booleanOption(options, 'disclose_me', false);
    const publication = globalId(this.#random);
    // Before the event: a publisher that also listens learns first that it was published.
    if (booleanOption(options, 'acknowledge', false)) {
      publisher.deliver([Code.PUBLISHED, request, publication]);
    }
    if (this.#local.listens(topic) && receives(this.#local)) {
      this.#local.receive(null, topic, publication, publisher, args, kwargs);
    }
    for (const subscription of this.#subscriptions.all(topic)) {
      const details: Dict = disclosed ? discloseAs('publisher', publisher) : {};
      if (subscription.match !== 'exact') details['topic'] = topic;
      const event = new SharedMessage(
        withPayload([Code.EVENT, subscription.id, publication, details], args, kwargs),
      );
      for (const member of subscription.subscribers) {
        if (!receives(member)) continue;
        if (member === this.#local) {
          this.#local.receive(subscription.id, topic, publication, publisher, args, kwargs);
        } else {
          member.deliverShared(event);
        }
      }
    }
  }
}

/** Who may receive a publication (WAMP, "Subscriber Black- and Whitelisting" and "Publisher Exclusion"). */
function receiverFilter(publisher: Member, options: Dict): (member: Member) => boolean {
  const excludesPublisher = booleanOption(options, 'exclude_me', true);
  const excluded = idsOption(options, 'exclude');
  const excludedAuthids = stringsOption(options, 'exclude_authid');
  const excludedAuthroles = stringsOption(options, 'exclude_authrole');
  const eligible = idsOption(options, 'eligible');
  const eligibleAuthids = stringsOption(options, 'eligible_authid');
  const eligibleAuthroles = stringsOption(options, 'eligible_authrole');
  return (member) => {
    const { authid, authrole } = member.identity;
    return !(
      (excludesPublisher && member === publisher) ||
      excluded?.has(member.id) === true ||
      (authid !== null && excludedAuthids?.has(authid) === true) ||
      (authrole !== null && excludedAuthroles?.has(authrole) === true) ||
      eligible?.has(member.id) === false ||
      (eligibleAuthids !== null && (authid === null || !eligibleAuthids.has(authid))) ||
      (eligibleAuthroles !== null && (authrole === null || !eligibleAuthroles.has(authrole)))
    );
  };
}

/** The details that tell who a member is. */
export function discloseAs(role: 'caller' | 'publisher', member: Member): Dict {
  const details: Dict = { [role]: member.id };
  const { authid, authrole } = member.identity;
  if (authid !== null) details[`${role}_authid`] = authid;
  if (authrole !== null) details[`${role}_authrole`] = authrole;
  return details;
}

/** A message with the payload that another one came with: what was left out there is left out here. */
export function withPayload(
  message: RouterMessage,
  args: readonly unknown[] | undefined,
  kwargs: Dict | undefined,
): RouterMessage {
  if (kwargs !== undefined) return [...message, args ?? [], kwargs];
  return args === undefined ? message : [...message, args];
}
