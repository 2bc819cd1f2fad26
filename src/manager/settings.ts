import {
  readChoice,
  readInteger,
  readText,
  readUrl,
  setting,
  type SettingValues,
} from '../contract/configuration.ts';
import {
  gitAuthoritiesSpec,
  noProxySpec,
  privateAddressesSpec,
  proxySpec,
} from '../contract/network/settings.ts';
import { NAMESPACE_LIMIT_MAX } from '../contract/api/namespaces.ts';
import { logFormats, logLevels } from '../contract/program-log.ts';
import { isNamespace, isRegistryHost } from '../contract/references.ts';
import { readListenAddress } from './listen-address.ts';

/** Each thing that a manager may be told. What they must be together is in config.ts. */
export const settings = {
  LISTEN_WAMP: setting({
    doc: 'Where workers connect, at the paths `/` and `/b1/socket`.',
    rule: 'HOST:PORT',
    example: '0.0.0.0:8787',
    default: '127.0.0.1:8787',
    read: readListenAddress,
  }),
  WAMP_TLS_CERT_PATH: setting({
    doc: 'The certificate for `LISTEN_WAMP`, followed by its intermediates. With it, `LISTEN_WAMP` speaks TLS only (`wss`). Renewed files are used from the next connection on.',
    rule: 'the path of a PEM file',
    example: '/etc/quay-build-manager/wamp.pem',
    read: readText,
  }),
  WAMP_TLS_KEY_PATH: setting({
    doc: 'The key of `WAMP_TLS_CERT_PATH`.',
    rule: 'the path of a PEM file',
    example: '/etc/quay-build-manager/wamp.key',
    read: readText,
  }),
  WAMP_TLS_CLIENT_CA_PATH: setting({
    doc: 'The authorities that sign the certificates of workers. Each worker must then present such a certificate (its `TLS_CERT_PATH`); others are refused.',
    rule: 'the path of a PEM file',
    example: '/etc/quay-build-manager/workers-ca.pem',
    read: readText,
  }),
  LISTEN_HTTP: setting({
    doc: 'Where the HTTP API, the packages for workers, the registry token server and the metrics are served.',
    rule: 'HOST:PORT',
    example: '0.0.0.0:8686',
    default: '127.0.0.1:8686',
    read: readListenAddress,
  }),
  PUBLIC_URL: setting({
    doc: 'The HTTP API as workers and their engines reach it; packages and registry tokens are fetched there. `LISTEN_HTTP` when absent.',
    rule: 'an http or https URL without userinfo',
    example: 'https://builds.example',
    read: readUrl(['http:', 'https:']),
  }),
  PUBLIC_WAMP_URL: setting({
    doc: 'The address at which hosted workers reach `LISTEN_WAMP`; an executor may give its own workers another. `LISTEN_WAMP` when absent.',
    rule: 'a ws or wss URL without userinfo',
    example: 'wss://builds.example',
    read: readUrl(['ws:', 'wss:']),
  }),
  EXECUTORS_FILE: setting({
    doc: 'The executors, which start hosted workers for builds that no connected worker takes, in the order in which they are asked (docs/executors.md). None when absent.',
    rule: 'the path of a JSON file',
    example: '/etc/quay-build-manager/executors.json',
    read: readText,
  }),
  DATA_DIR: setting({
    doc: 'The folder for everything that the manager keeps: its PostgreSQL unless `DATABASE_URL` is set, packages, keys.',
    rule: 'the path of a folder that may be written to',
    example: '/var/lib/quay-build-manager',
    default: './quay-build-manager-data',
    read: readText,
  }),
  DATABASE_URL: setting({
    doc: 'A PostgreSQL server (15 or later) to use instead of the embedded one. Several managers may share it.',
    rule: 'a postgresql URL',
    example: 'postgresql://manager@db.example/builds',
    secret: true,
    file: true,
    read: readPostgresUrl,
  }),
  SECRET_KEY_FILE: setting({
    doc: 'The key that encrypts credentials at rest: 32 bytes in base64 or hexadecimal. `secret.key` in `DATA_DIR`, made at the first start, when absent.',
    rule: 'the path of a file that only its owner may read; one of root may be readable by its group',
    example: '/etc/quay-build-manager/secret.key',
    read: readText,
  }),
  API_TOKENS_FILE: setting({
    doc: 'Who may use the HTTP API: names, hashes and scopes, written by `quay-build-manager token`. Without it the API is open, on a loopback address only.',
    rule: 'the path of a JSON file',
    example: '/etc/quay-build-manager/api-tokens.json',
    read: readText,
  }),
  OPEN_HTTP_TO_EVERYBODY: setting({
    doc: 'Allows the HTTP API without tokens on an address that is not loopback: anyone who reaches it may build and cancel anything.',
    rule: '`yes` or `no`',
    example: 'yes',
    default: 'no',
    read: readChoice(['yes', 'no']),
  }),
  REGISTRATION: setting({
    doc: 'Which enterprise workers may register: any that connects (`open`), those with a `ticket`, or none (`off`).',
    rule: '`open`, `ticket` or `off`',
    example: 'ticket',
    default: 'open',
    read: readChoice(['open', 'ticket', 'off']),
  }),
  REGISTRATION_TICKETS_FILE: setting({
    doc: 'With `REGISTRATION=ticket`, the tickets by which workers register: names and hashes, written by `quay-build-manager ticket`. It is read again when it changes.',
    rule: 'the path of a JSON file',
    example: '/etc/quay-build-manager/tickets.json',
    read: readText,
  }),
  OPEN_REGISTRATION_TO_EVERYBODY: setting({
    doc: 'Allows `REGISTRATION=open` on an address that is not loopback: anyone who reaches it may become a worker, and is trusted with builds.',
    rule: '`yes` or `no`',
    example: 'yes',
    default: 'no',
    read: readChoice(['yes', 'no']),
  }),
  REGISTRY: setting({
    doc: 'The registry that builds are pushed to when they name none.',
    rule: 'host or host:port',
    example: 'registry.example:5000',
    read: (text: string) => (isRegistryHost(text) ? text : undefined),
  }),
  REGISTRY_URL: setting({
    doc: 'The address at which the manager itself reaches `REGISTRY`, where it is not that name over https: for example in a container beside a registry that engines know by a published port.',
    rule: 'an http or https URL without userinfo',
    example: 'http://registry:5000',
    read: readUrl(['http:', 'https:']),
  }),
  REGISTRY_TOKEN_SERVICE: setting({
    doc: "The `service` of that registry's `auth: token` section, whose realm is `PUBLIC_URL/registry/token` and whose issuer is `quay-build-manager`. The manager then mints each try's credentials.",
    rule: 'a name without spaces',
    example: 'registry.example',
    read: (text: string) => (/^\S{1,255}$/.test(text) ? text : undefined),
  }),
  REGISTRY_USERNAME: setting({
    doc: 'The user of a registry that does not take tokens of the manager.',
    rule: 'a user name',
    example: 'robot$builds',
    read: readText,
  }),
  REGISTRY_PASSWORD: setting({
    doc: 'The password of `REGISTRY_USERNAME`.',
    rule: 'a password',
    example: 'correct-horse-battery',
    secret: true,
    file: true,
    read: readText,
  }),
  INSECURE_REGISTRIES: setting({
    doc: "Registries that the manager may reach over plain http where they do not speak https, like the engines' `insecure-registries`; those on the loopback need not be listed. The manager asks registries which image can prime a build's cache.",
    rule: 'hosts, or hosts and ports, with commas between them',
    example: 'registry.internal:5000',
    default: '',
    read: readNames(isRegistryHost),
  }),
  PUBLIC_NAMESPACES: setting({
    doc: 'Namespaces of that registry whose repositories every build may pull, for base images that all share. It applies where the manager mints credentials; `quay-build readable` lets a single namespace pull more.',
    rule: 'namespaces with commas between them',
    example: 'library,platform/bases',
    default: '',
    read: readNames(isNamespace),
  }),
  MANAGER_ID: setting({
    doc: "The name of this manager among several that share a database. The machine's name when absent.",
    rule: 'up to 128 of letters, digits, `.`, `_`, `-`',
    example: 'manager-1',
    read: (text: string) => (/^[\w.-]{1,128}$/.test(text) ? text : undefined),
  }),
  REGISTRATIONS_PER_MINUTE: setting({
    doc: 'How many registrations a minute are accepted from one address; a worker that is refused tries again later. Each slot of a worker counts. Behind a balancer that hides the addresses of workers, all of them count together.',
    rule: 'a whole number from 1 to 1000000',
    example: '6000',
    default: '600',
    read: readInteger(1, 1_000_000),
  }),
  WRONG_TICKETS_PER_MINUTE: setting({
    doc: 'How many wrong tickets a minute one address may show; after that, no ticket from there is accepted for the rest of the minute, not even a right one. Behind a balancer that hides the addresses of workers, all of them count together.',
    rule: 'a whole number from 1 to 1000000',
    example: '600',
    default: '60',
    read: readInteger(1, 1_000_000),
  }),
  UNKNOWN_REALMS_PER_MINUTE: setting({
    doc: 'How many times a minute one address may ask for a realm that does not exist; after that, no worker from there can join or come back to a realm that this manager does not already hold, for the rest of the minute. Behind a balancer that hides the addresses of workers, all of them count together.',
    rule: 'a whole number from 1 to 1000000',
    example: '6000',
    default: '600',
    read: readInteger(1, 1_000_000),
  }),
  UNREADY_CONNECTIONS_MAX: setting({
    doc: 'How many connections of one address may have no ready worker; a further one is closed at once, and its worker tries again later. Each slot of a worker is a connection. An IPv6 network /64 counts as one address, here and for the limits a minute. Behind a balancer that hides the addresses of workers, all of them count together.',
    rule: 'a whole number from 1 to 50000',
    example: '10000',
    default: '1024',
    read: readInteger(1, 50_000),
  }),
  LEASE_SECONDS: setting({
    doc: 'How long a try belongs to its manager after the last renewal.',
    rule: 'a whole number of seconds from 5 to 3600',
    example: '60',
    default: '60',
    read: readInteger(5, 3600),
  }),
  RESUME_GRACE_SECONDS: setting({
    doc: 'How long a `quay-builder` that loses its connection goes on building and may come back with its build; it learns this with the build. With 0 its build is given to another worker at once.',
    rule: 'a whole number of seconds from 0 to 240',
    example: '120',
    default: '60',
    read: readInteger(0, 240),
  }),
  STOP_DELAY_SECONDS: setting({
    doc: 'How long a manager that is told to stop goes on serving everything but new builds, while `/readyz` says that it stops: long enough for a balancer to notice. 0 where there is none.',
    rule: 'a whole number of seconds from 0 to 600',
    example: '5',
    default: '0',
    read: readInteger(0, 600),
  }),
  STOP_WITHIN_SECONDS: setting({
    doc: 'How long a stopping manager then waits for builds whose workers cannot take them along to another manager: deployed ones. What is left is given to another worker, and no try is counted. Allow the process 10 s more than both settings together.',
    rule: 'a whole number of seconds from 0 to 86400',
    example: '600',
    default: '30',
    read: readInteger(0, 86_400),
  }),
  BUILD_TIMEOUT_SECONDS: setting({
    doc: 'How long a try may take once its worker has it, unless the build asks for a `timeout`.',
    rule: 'a whole number of seconds from 5 to 86400',
    example: '3600',
    default: '5400',
    read: readInteger(5, 86_400),
  }),
  BUILD_SILENCE_SECONDS: setting({
    doc: 'How long a try may be silent, unless the build asks for a `silence_timeout`.',
    rule: 'a whole number of seconds from 5 to 86400',
    example: '600',
    default: '1800',
    read: readInteger(5, 86_400),
  }),
  BUILD_TIMEOUT_MAX_SECONDS: setting({
    doc: 'The longest `timeout` and `silence_timeout` that a build may ask for; one that asks for more is refused.',
    rule: 'a whole number of seconds from 5 to 86400',
    example: '14400',
    default: '86400',
    read: readInteger(5, 86_400),
  }),
  WORKER_STOP_SECONDS: setting({
    doc: 'How long a worker may take to stop a build that was cancelled or took too long. Until it has answered it gets no other build; after this time its session is ended. Deployed workers stop at the next line that they log.',
    rule: 'a whole number of seconds from 5 to 86400',
    example: '120',
    default: '600',
    read: readInteger(5, 86_400),
  }),
  HEARTBEAT_TIMEOUT_SECONDS: setting({
    doc: 'How long a worker may be silent before it counts as lost. Workers send a heartbeat every second; one that waits for an answer of the manager sends none, and its time counts from that answer.',
    rule: 'a whole number of seconds from 3 to 3600',
    example: '30',
    default: '10',
    read: readInteger(3, 3600),
  }),
  PACKAGE_MAX_BYTES: setting({
    doc: 'The largest package that may be uploaded, in bytes.',
    rule: 'a whole number from 1024 to 1099511627776',
    example: '2147483648',
    default: '2147483648',
    read: readInteger(1024, 2 ** 40),
  }),
  TRY_LOG_MAX_BYTES: setting({
    doc: 'How large the log of a try may grow, in bytes. Output beyond that is dropped, and the log says so; the build goes on.',
    rule: 'a whole number from 65536 to 1099511627776',
    example: '268435456',
    default: '1073741824',
    read: readInteger(65_536, 2 ** 40),
  }),
  NAMESPACE_MAX_RUNNING: setting({
    doc: 'How many builds of a namespace may run at a time; further ones wait. A namespace may have a limit of its own (docs/scheduling.md).',
    rule: '`none`, or a whole number from 0 to 1000000',
    example: '20',
    default: 'none',
    read: readLimit,
  }),
  NAMESPACE_MAX_WAITING: setting({
    doc: 'How many builds of a namespace may wait at a time; further ones are refused. A namespace may have a limit of its own (docs/scheduling.md).',
    rule: '`none`, or a whole number from 0 to 1000000',
    example: '500',
    default: '10000',
    read: readLimit,
  }),
  KEEP_BUILDS_DAYS: setting({
    doc: 'How long builds are kept after their end, with their tries, steps and logs.',
    rule: 'a whole number of days from 1 to 36500',
    example: '730',
    default: '365',
    read: readInteger(1, 36_500),
  }),
  KEEP_LOGS_DAYS: setting({
    doc: 'How long the logs of tries are kept after their end. The builds themselves stay.',
    rule: 'a whole number of days from 1 to 36500',
    example: '30',
    default: '90',
    read: readInteger(1, 36_500),
  }),
  KEEP_LOGS_BYTES: setting({
    doc: 'How many bytes the packed logs of ended tries may take together; beyond that, the oldest are deleted early.',
    rule: 'a whole number from 0 to 1125899906842624',
    example: '107374182400',
    default: '21474836480',
    read: readInteger(0, 2 ** 50),
  }),
  KEEP_AUDIT_DAYS: setting({
    doc: 'How long entries of the audit trail are kept (docs/operating.md).',
    rule: 'a whole number of days from 1 to 36500',
    example: '1095',
    default: '365',
    read: readInteger(1, 36_500),
  }),
  KEEP_AUDIT_ENTRIES: setting({
    doc: 'How many entries the audit trail may have; beyond that, the oldest are deleted early.',
    rule: 'a whole number from 1000 to 1000000000',
    example: '10000000',
    default: '1000000',
    read: readInteger(1000, 1_000_000_000),
  }),
  GIT_KNOWN_HOSTS_FILE: setting({
    doc: "The host keys of the git servers over ssh where refs may be looked up, in the form of ssh's `known_hosts`: any other server is refused. When absent, the key that a server shows first is trusted, and kept in `git-known-hosts` in `DATA_DIR`; another key later is refused.",
    rule: 'the absolute path of a readable file',
    example: '/etc/quay-build-manager/known_hosts',
    read: (text: string) => (text.startsWith('/') ? text : undefined),
  }),
  GIT_SSL_CAINFO: setting(gitAuthoritiesSpec),
  PRIVATE_ADDRESSES: setting({
    ...privateAddressesSpec,
    doc: 'At which loopback and private addresses git refs may be looked up, and registries other than `REGISTRY` asked for an image that may prime a cache. Link-local addresses and the metadata services of clouds are refused whatever is set. Workers have a setting of the same name for what they fetch.',
  }),
  HTTP_PROXY: setting({
    ...proxySpec,
    doc: 'The proxy for looking up git refs at http URLs, and for asking registries by http. It may hold a user and a password. The name in lower case counts too.',
  }),
  HTTPS_PROXY: setting({
    ...proxySpec,
    doc: 'The same for https URLs. Git over ssh goes through no proxy.',
  }),
  NO_PROXY: setting(noProxySpec),
  LOG_LEVEL: setting({
    doc: 'How much the manager logs, on standard output.',
    rule: '`fatal`, `error`, `warn`, `info`, `debug` or `trace`',
    example: 'debug',
    default: 'info',
    read: readChoice(logLevels),
  }),
  LOG_FORMAT: setting({
    doc: 'The format of that log: `auto` is `pretty` on a terminal, else `json`.',
    rule: '`auto`, `json` or `pretty`',
    example: 'json',
    default: 'auto',
    read: readChoice(logFormats),
  }),
} as const;

export type ManagerSettings = SettingValues<typeof settings>;

/** Names with commas or spaces between them. */
function readNames(isName: (text: string) => boolean) {
  return (text: string): string[] | undefined => {
    const names = text.split(/[,\s]+/).filter((name) => name !== '');
    return names.every(isName) ? names : undefined;
  };
}

/** null: there is no limit. */
function readLimit(text: string): number | null | undefined {
  return text === 'none' ? null : readInteger(0, NAMESPACE_LIMIT_MAX)(text);
}

function readPostgresUrl(text: string): string | undefined {
  return URL.canParse(text) && /^postgres(?:ql)?:$/.test(new URL(text).protocol) ? text : undefined;
}
