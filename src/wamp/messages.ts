import { ProtocolViolation } from './errors.ts';
import { isId } from './ids.ts';
import { isDict, readJson } from './json.ts';
import type { Dict, JsonLimits } from './json.ts';

/** The messages of WAMP v2 and their shapes (WAMP, "Messages"). */
export const Code = {
  HELLO: 1,
  WELCOME: 2,
  ABORT: 3,
  CHALLENGE: 4,
  AUTHENTICATE: 5,
  GOODBYE: 6,
  ERROR: 8,
  PUBLISH: 16,
  PUBLISHED: 17,
  SUBSCRIBE: 32,
  SUBSCRIBED: 33,
  UNSUBSCRIBE: 34,
  UNSUBSCRIBED: 35,
  EVENT: 36,
  CALL: 48,
  CANCEL: 49,
  RESULT: 50,
  REGISTER: 64,
  REGISTERED: 65,
  UNREGISTER: 66,
  UNREGISTERED: 67,
  INVOCATION: 68,
  INTERRUPT: 69,
  YIELD: 70,
} as const;

type Payload = readonly [args?: unknown[], kwargs?: Dict];

export type HelloMessage = readonly [typeof Code.HELLO, realm: string, details: Dict];
type AbortMessage = readonly [typeof Code.ABORT, details: Dict, reason: string, ...Payload];
export type AuthenticateMessage = readonly [typeof Code.AUTHENTICATE, signature: string, extra: Dict];
type GoodbyeMessage = readonly [typeof Code.GOODBYE, details: Dict, reason: string];
export type ErrorMessage = readonly [
  typeof Code.ERROR,
  type: number,
  request: number,
  details: Dict,
  uri: string,
  ...Payload,
];
export type PublishMessage = readonly [
  typeof Code.PUBLISH,
  request: number,
  options: Dict,
  topic: string,
  ...Payload,
];
export type SubscribeMessage = readonly [
  typeof Code.SUBSCRIBE,
  request: number,
  options: Dict,
  topic: string,
];
export type UnsubscribeMessage = readonly [typeof Code.UNSUBSCRIBE, request: number, subscription: number];
export type CallMessage = readonly [
  typeof Code.CALL,
  request: number,
  options: Dict,
  procedure: string,
  ...Payload,
];
export type CancelMessage = readonly [typeof Code.CANCEL, request: number, options: Dict];
export type RegisterMessage = readonly [
  typeof Code.REGISTER,
  request: number,
  options: Dict,
  procedure: string,
];
export type UnregisterMessage = readonly [typeof Code.UNREGISTER, request: number, registration: number];
export type YieldMessage = readonly [typeof Code.YIELD, request: number, options: Dict, ...Payload];

/** What a client may say. */
export type ClientMessage =
  | HelloMessage
  | AbortMessage
  | AuthenticateMessage
  | GoodbyeMessage
  | ErrorMessage
  | PublishMessage
  | SubscribeMessage
  | UnsubscribeMessage
  | CallMessage
  | CancelMessage
  | RegisterMessage
  | UnregisterMessage
  | YieldMessage;

/** What the router says; its first element is the code. */
export type RouterMessage = readonly [code: number, ...rest: unknown[]];

type Kind = 'id' | 'dict' | 'string' | 'list' | 'invocation';
interface Shape {
  readonly name: string;
  readonly required: readonly Kind[];
  readonly optional: readonly Kind[];
}

const payload = ['list', 'dict'] as const;
/** The elements after the code, of every message that a client may send. */
const shapes = new Map<unknown, Shape>([
  [Code.HELLO, { name: 'HELLO', required: ['string', 'dict'], optional: [] }],
  [Code.ABORT, { name: 'ABORT', required: ['dict', 'string'], optional: payload }],
  [Code.AUTHENTICATE, { name: 'AUTHENTICATE', required: ['string', 'dict'], optional: [] }],
  [Code.GOODBYE, { name: 'GOODBYE', required: ['dict', 'string'], optional: [] }],
  [Code.ERROR, { name: 'ERROR', required: ['invocation', 'id', 'dict', 'string'], optional: payload }],
  [Code.PUBLISH, { name: 'PUBLISH', required: ['id', 'dict', 'string'], optional: payload }],
  [Code.SUBSCRIBE, { name: 'SUBSCRIBE', required: ['id', 'dict', 'string'], optional: [] }],
  [Code.UNSUBSCRIBE, { name: 'UNSUBSCRIBE', required: ['id', 'id'], optional: [] }],
  [Code.CALL, { name: 'CALL', required: ['id', 'dict', 'string'], optional: payload }],
  [Code.CANCEL, { name: 'CANCEL', required: ['id', 'dict'], optional: [] }],
  [Code.REGISTER, { name: 'REGISTER', required: ['id', 'dict', 'string'], optional: [] }],
  [Code.UNREGISTER, { name: 'UNREGISTER', required: ['id', 'id'], optional: [] }],
  [Code.YIELD, { name: 'YIELD', required: ['id', 'dict'], optional: payload }],
]);
const routerCodes = new Map<unknown, string>(Object.entries(Code).map(([name, code]) => [code, name]));

function isOfKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'id':
      return isId(value);
    case 'dict':
      return isDict(value);
    case 'string':
      return typeof value === 'string';
    case 'list':
      return Array.isArray(value);
    case 'invocation':
      return value === Code.INVOCATION;
  }
}

const kindNames: Record<Kind, string> = {
  id: 'an integer from 1 to 2^53',
  dict: 'a dictionary',
  string: 'a string',
  list: 'a list',
  invocation: `${Code.INVOCATION}, the only request that a client answers`,
};

/** Throws a {@link ProtocolViolation} unless the value has the shape of a message that a client may send. */
function checkShape(value: unknown): asserts value is ClientMessage {
  if (!Array.isArray(value)) throw new ProtocolViolation('a message must be a list');
  const message: readonly unknown[] = value;
  const shape = shapes.get(message[0]);
  if (!shape) {
    const name = routerCodes.get(message[0]);
    throw new ProtocolViolation(
      name ? `${name} is not a client's to send` : 'the first element must be the code of a message',
    );
  }
  const { name, required, optional } = shape;
  const given = message.length - 1;
  if (given < required.length || given > required.length + optional.length) {
    throw new ProtocolViolation(`${name} has ${given} elements after its code, which is not its length`);
  }
  for (let index = 0; index < given; index++) {
    const kind = index < required.length ? required[index] : optional[index - required.length];
    if (kind !== undefined && !isOfKind(message[index + 1], kind)) {
      throw new ProtocolViolation(`element ${index + 1} of ${name} must be ${kindNames[kind]}`);
    }
  }
}

/** Null for arguments is none: deployed peers and routers take it so. Keyword arguments that are null they refuse, and so do we. */
function fillArguments(value: unknown): void {
  if (!Array.isArray(value)) return;
  const message: unknown[] = value;
  const shape = shapes.get(message[0]);
  if (!shape || shape.optional.length === 0) return;
  const place = 1 + shape.required.length;
  if (message[place] === null) message[place] = [];
}

/**
 * Reads a message of a client.
 *
 * @throws ProtocolViolation when the text is no JSON, is beyond the limits, or has not the shape of such a message.
 */
export function parseMessage(text: string, limits: JsonLimits): ClientMessage {
  const value = readJson(text, limits);
  fillArguments(value);
  checkShape(value);
  return value;
}
