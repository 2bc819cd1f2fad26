/** URLs of git repositories over ssh, as worker and manager read them. */

export interface SshUrl {
  /** As git is given it. */
  readonly url: string;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export const SSH_PORT = 22;

const CONTROL = /\p{Cc}/u;
const SCP_LIKE = /^([^@/:]+)@(\[[^\]]*\]|[^@/:[\]]+):([^:].*)$/;
/** Nothing that ssh or a shell could take for something else. */
const USER = /^[A-Za-z0-9_][\w.-]{0,63}$/;
const HOST = /^(?:[A-Za-z0-9](?:[\w.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])$/;

/**
 * Reads `ssh://user@host[:port]/path`, or `user@host:path`, whose path begins in that user's home. Null for what is no such URL; a
 * sentence for one that must not be used.
 */
export function readSshUrl(text: string): SshUrl | string | null {
  if (text.startsWith('-') || CONTROL.test(text)) return null;
  const [scp, user = '', host = '', path = ''] = SCP_LIKE.exec(text) ?? [];
  if (scp !== undefined) return check(text, user, host, '', path);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'ssh:') return null;
  if (url.password !== '') {
    return 'The URL of the git repository has a password, which git over ssh does not use.';
  }
  if (url.search !== '' || url.hash !== '') {
    return 'The ssh URL of the git repository has a query or a fragment.';
  }
  return check(url.href, url.username, url.hostname, url.port, url.pathname.slice(1));
}

function check(url: string, user: string, host: string, port: string, path: string): SshUrl | string {
  if (!USER.test(user)) {
    return 'The ssh URL of the git repository names no user, or an odd one: most servers want git@.';
  }
  if (!HOST.test(host)) {
    return `The host ${JSON.stringify(host.slice(0, 100))} of the git repository is no host name.`;
  }
  if (path === '' || path.startsWith('-')) {
    return 'The ssh URL of the git repository has no path, or one that begins with a dash.';
  }
  return { url, host: host.replace(/^\[|\]$/g, ''), port: port === '' ? SSH_PORT : Number(port) };
}
