import { isIPv4, isIPv6 } from 'node:net';

/** The /64 of IPv6 is the least that a network gives to one customer, who has all addresses in it. */
const OWN_GROUPS = 4;
const GROUPS = 8;

/**
 * What counts as one place, where connections and what comes over them are counted: an IPv4 address, or a network /64 of IPv6. Takes a
 * host, or an address with a port as `TransportInfo` has it; what is neither is its own place.
 */
export function networkOf(address: string): string {
  const host = /^\[(.*)\]:\d+$/.exec(address)?.[1] ?? address.replace(/^([^:]*):\d+$/, '$1');
  const [ip = ''] = host.split('%');
  const mapped = /^::ffff:([\d.]+)$/i.exec(ip)?.[1] ?? ip;
  if (isIPv4(mapped) || !isIPv6(ip)) return mapped;
  const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before = '', after] = ip.split('::');
  const [first, last] = [groupsOf(before), groupsOf(after ?? '')];
  const between = Array<string>(Math.max(0, GROUPS - first.length - last.length)).fill('0');
  const own = [...first, ...between, ...last].slice(0, OWN_GROUPS);
  return `${own.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
