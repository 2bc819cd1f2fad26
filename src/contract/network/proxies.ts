import { BlockList, isIP } from 'node:net';

/** The proxies of HTTP, as the variables of the same names give them. */
export interface Proxies {
  /** For `http:` and `ws:` URLs, and for `https:` and `wss:` URLs; null for none. With credentials, where a proxy wants them. */
  readonly http: URL | null;
  readonly https: URL | null;
  /**
   * Hosts that are reached without: names, which also stand for what ends in a dot and them, addresses, ranges such as 10.0.0.0/8, each
   * with a port where only that is meant; `*` for all.
   */
  readonly none: readonly string[];
}

export const noProxies: Proxies = { http: null, https: null, none: [] };

const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  'http:': '80',
  'ws:': '80',
  'https:': '443',
  'wss:': '443',
};
const ENTRY = /^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*))(?::(\d+))?$/;

/** The proxy to a URL, null where there is none. */
export function proxyFor(url: URL, proxies: Proxies): string | null {
  const proxy = /^(?:https|wss):$/.test(url.protocol) ? proxies.https : proxies.http;
  if (proxy === null) return null;
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  const port = url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? '') : url.port;
  return proxies.none.some((entry) => matches(entry, host, port)) ? null : proxy.href;
}

function matches(entry: string, host: string, port: string): boolean {
  const [, bracketed, plain, only] = ENTRY.exec(entry.toLowerCase()) ?? [];
  const wanted = bracketed ?? plain ?? '';
  if (wanted === '' || (only !== undefined && only !== port)) return false;
  if (wanted === '*') return true;
  const family = isIP(host);
  if (family === 0) {
    const name = wanted.replace(/^\*?\./, '');
    return host === name || host.endsWith(`.${name}`);
  }
  const [address = '', prefix] = wanted.split('/');
  if (isIP(address) !== family) return false;
  const longest = family === 6 ? 128 : 32;
  const length = prefix === undefined ? longest : Number(prefix);
  if (!Number.isInteger(length) || length < 0 || length > longest) return false;
  const list = new BlockList();
  list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4');
  return list.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** The passwords of proxies, as written and decoded: what must not be shown. */
export function passwordsOf({ http, https }: Proxies): string[] {
  return [http, https].flatMap((proxy) => {
    const password = proxy?.password ?? '';
    return password === '' ? [] : [password, decodeURIComponent(password)];
  });
}

/** The environment, with the names of proxies that many write in small letters. */
export function withProxyNames(environment: Readonly<NodeJS.ProcessEnv>): NodeJS.ProcessEnv {
  const given: NodeJS.ProcessEnv = { ...environment };
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) {
    given[name] = environment[name.toLowerCase()] ?? environment[name];
  }
  return given;
}

/** Reads a proxy's URL; many write its host and port alone. `undefined` for what is none. */
export function readProxy(text: string): URL | undefined {
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(written) ? new URL(written) : null;
  const whole = url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '';
  return whole && url.pathname === '/' && url.search === '' && isDecodable(url) ? url : undefined;
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** Reads NO_PROXY: entries with commas or spaces between them. */
export function readNoProxy(text: string): string[] {
  return text.split(/[,\s]+/).filter((entry) => entry !== '');
}
