import { lookup as systemLookup } from 'node:dns/promises';
import { addAbortListener } from 'node:events';
import { BlockList, isIP } from 'node:net';

/** Which private addresses a build may reach: all, or only these addresses and ranges. */
export type PrivateAddresses = 'all' | readonly string[];

export interface HostAddress {
  readonly address: string;
  readonly family: number;
}

/** Asks the machine's resolver for all addresses of a name. Rejects with its error. */
export type Lookup = (host: string) => Promise<readonly HostAddress[]>;

/** Decides where a build's source may be fetched from. */
export interface AddressGuard {
  /**
   * All addresses of a host, in the order in which to try them: whoever connects must connect to one of these, and not ask again,
   * since the answer may be another then. Throws a ForbiddenAddress when one of them is refused, the resolver's error, and the
   * signal's reason when it is aborted.
   */
  resolve(host: string, signal: AbortSignal): Promise<readonly HostAddress[]>;
}

/** The message is fit for the user. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
}

/** Link-local, where clouds have their metadata services, which give credentials of the machine to whoever asks; and no hosts at all. */
const NEVER = [
  '169.254.0.0/16',
  'fe80::/10',
  // Amazon, Google, Alibaba, Oracle, and Azure's own services.
  'fd00:ec2::/32',
  'fd20:ce::254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  // Multicast and broadcast.
  '224.0.0.0/4',
  '255.255.255.255',
  'ff00::/8',
];

/** Loopback, private and shared ranges (RFC 6890). */
const PRIVATE = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '::',
  '::1',
  '64:ff9b:1::/48',
  'fc00::/7',
  'fec0::/10',
];

const SUBNET = /^([^/]+)(?:\/(\d{1,3}))?$/;

export function createAddressGuard(
  privateAddresses: PrivateAddresses,
  lookup: Lookup = (host) => systemLookup(host, { all: true, order: 'verbatim' }),
): AddressGuard {
  const never = blockList(NEVER);
  const refused = blockList(PRIVATE);
  const allowed = blockList(privateAddresses === 'all' ? [] : privateAddresses);
  const check = (host: string, { address, family }: HostAddress): void => {
    const type = family === 6 ? 'ipv6' : 'ipv4';
    const where = host === address ? host : `${host} (${address})`;
    if (never.check(address, type)) {
      throw new ForbiddenAddress(
        `${where} is an address that no build may reach: link-local, or a service of the machine`,
      );
    }
    if (privateAddresses !== 'all' && refused.check(address, type) && !allowed.check(address, type)) {
      throw new ForbiddenAddress(`${where} is a private address, which builds of this worker may not reach`);
    }
  };
  return {
    resolve: async (host, signal) => {
      const family = isIP(host);
      const found = family === 0 ? await orAborted(lookup(host), signal) : [{ address: host, family }];
      for (const each of found) check(host, each);
      return found;
    },
  };
}

/** A resolver cannot be stopped, only left behind. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  using _listener = addAbortListener(signal, () => aborted.reject(signal.reason));
  return await Promise.race([promise, aborted.promise]);
}

/** Reads `allow`, `refuse`, or what {@link readSubnets} reads. */
export function readPrivateAddresses(text: string): PrivateAddresses | undefined {
  return text === 'allow' ? 'all' : text === 'refuse' ? [] : readSubnets(text);
}

/** Reads addresses and ranges with commas between them; `undefined` when one is neither. */
export function readSubnets(text: string): string[] | undefined {
  const subnets = text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  return subnets.length > 0 && subnets.every(isSubnet) ? subnets : undefined;
}

function isSubnet(text: string): boolean {
  const [, address = '', prefix] = SUBNET.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 6 ? 128 : 32));
}

function blockList(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [, address = '', prefix] = SUBNET.exec(subnet) ?? [];
    if (isIP(address) === 6) {
      list.addSubnet(address, Number(prefix ?? 128), 'ipv6');
      continue;
    }
    // Also within IPv6: ::ffff:a.b.c.d is known to the list itself, NAT64 (RFC 6052) and 6to4 (RFC 3056) are not.
    const bits = Number(prefix ?? 32);
    list.addSubnet(address, bits, 'ipv4');
    list.addSubnet(`64:ff9b::${address}`, 96 + bits, 'ipv6');
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    list.addSubnet(`2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::`, 16 + bits, 'ipv6');
  }
  return list;
}
