import { userInfo } from 'node:os';
import type { Actor } from '../../store/index.ts';

/** Whom the audit trail names for a command that is run on this machine. */
export function commandActor(): Actor {
  return { name: `command:${userName()}`, address: null };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user need not have a name.
    return String(process.getuid?.() ?? 'unknown');
  }
}
