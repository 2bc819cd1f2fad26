import { readPrivateAddresses } from './addresses.ts';
import { type Proxies, readNoProxy, readProxy } from './proxies.ts';

/** The settings of the network that worker and manager share; what each uses them for is its own to say. */

export const privateAddressesSpec = {
  rule: '`allow`, `refuse`, or the addresses and ranges that are allowed, with commas between them',
  example: '10.20.0.0/16,fd12:3456::/32',
  default: 'allow',
  read: readPrivateAddresses,
} as const;

/** For `HTTP_PROXY` and `HTTPS_PROXY`. */
export const proxySpec = {
  rule: 'an http or https URL, or a host and a port',
  example: 'http://proxy.example.com:3128',
  secret: true,
  read: readProxy,
} as const;

export const noProxySpec = {
  doc: 'What is reached without a proxy: host names with their subdomains, addresses and ranges, each with or without a port; `*` for everything. The name in lower case counts too.',
  rule: 'hosts with commas between them',
  example: 'localhost,.example.com,10.0.0.0/8',
  default: '',
  read: readNoProxy,
} as const;

/** For `GIT_SSL_CAINFO`, which is git's own name for it. */
export const gitAuthoritiesSpec = {
  doc: "The certificate authorities by which git checks https servers, instead of the machine's own.",
  rule: 'the absolute path of a readable PEM file',
  example: '/etc/ssl/certs/authorities.pem',
  read: (text: string) => (text.startsWith('/') ? text : undefined),
} as const;

/** The proxies that such settings name. */
export function proxiesOf(settings: {
  readonly HTTP_PROXY: URL | null;
  readonly HTTPS_PROXY: URL | null;
  readonly NO_PROXY: readonly string[];
}): Proxies {
  return { http: settings.HTTP_PROXY, https: settings.HTTPS_PROXY, none: settings.NO_PROXY };
}
