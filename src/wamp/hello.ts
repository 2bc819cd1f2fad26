import { ProtocolViolation } from './errors.ts';
import { isDict } from './json.ts';
import type { Dict } from './json.ts';
import type { HelloMessage } from './messages.ts';
import type { Hello, TransportInfo } from './policy.ts';

/** One for all: there may be tens of thousands of sessions. */
const NO_EXTRA: Readonly<Dict> = Object.freeze({});

const clientRoles = ['publisher', 'subscriber', 'caller', 'callee'];

/**
 * Reads HELLO, as a policy judges it. The realm's name is not checked.
 *
 * @throws ProtocolViolation when it names no role, or a detail that is known has the wrong type
 */
export function readHello([, realm, details]: HelloMessage, transport: TransportInfo): Hello {
  checkRoles(details['roles']);
  const authmethods = details['authmethods'] ?? [];
  if (!Array.isArray(authmethods) || !authmethods.every((each) => typeof each === 'string')) {
    throw new ProtocolViolation('authmethods must be a list of strings');
  }
  const authextra = details['authextra'] ?? NO_EXTRA;
  if (!isDict(authextra)) throw new ProtocolViolation('authextra must be a dictionary');
  return {
    realm,
    authid: textDetail(details, 'authid'),
    authmethods,
    authextra,
    agent: textDetail(details, 'agent'),
    details,
    transport,
  };
}

/** A client says what it is; features that nobody knows are tolerated. */
function checkRoles(announced: unknown): void {
  if (!isDict(announced) || !clientRoles.some((role) => Object.hasOwn(announced, role))) {
    throw new ProtocolViolation(`roles must name at least one of ${clientRoles.join(', ')}`);
  }
  for (const role of clientRoles) {
    const description = announced[role] ?? {};
    if (!isDict(description) || !isDict(description['features'] ?? {})) {
      throw new ProtocolViolation(`role ${role} and its features must be dictionaries`);
    }
  }
}

function textDetail(details: Dict, name: string): string | null {
  const value = details[name] ?? null;
  if (value !== null && typeof value !== 'string') throw new ProtocolViolation(`${name} must be a string`);
  return value;
}
