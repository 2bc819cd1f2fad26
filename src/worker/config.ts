import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Configuration,
  readChoice,
  readInteger,
  readText,
  readUrl,
  setting,
  type SettingValues,
} from '../contract/configuration.ts';
import { readDiskBudget } from './disk/budget.ts';
import { readTagReference } from '../contract/references.ts';
import { entitlementNames, type Entitlement } from './entitlements.ts';
import {
  gitAuthoritiesSpec,
  noProxySpec,
  privateAddressesSpec,
  proxySpec,
} from '../contract/network/settings.ts';
import { workerLabelsSchema } from '../contract/worker-labels.ts';
import { logFormats, logLevels } from '../contract/program-log.ts';
import type { Ticket } from './link/session.ts';
import type { TlsPaths } from './link/tls.ts';

/** The path that `SERVER` lacks (contract 0.3, "How a worker is started"). */
const SOCKET_PATH = '/b1/socket';

const settings = {
  ENDPOINT: setting({
    doc: "The manager's WebSocket, used as it is. It wins over `SERVER`; one of the two is needed.",
    rule: 'a ws or wss URL without a user',
    example: 'wss://builds.example.com/b1/socket',
    read: readUrl(['ws:', 'wss:']),
  }),
  SERVER: setting({
    doc: `The manager's base URL; the endpoint is this with \`${SOCKET_PATH}\`. An http URL counts as ws, https as wss.`,
    rule: 'a ws, wss, http or https URL without a user',
    example: 'wss://builds.example.com',
    read: readUrl(['ws:', 'wss:', 'http:', 'https:']),
  }),
  REALM: setting({
    doc: 'Hosted: the realm that was allocated for one build. With it the worker runs that build and exits; without it the worker is an enterprise worker, and runs builds for ever.',
    rule: 'the realm as the manager gave it',
    example: '9a3f1f5e-6c1b-4a39-9d63-2d4f0d0f6c11',
    read: (text) => (/^[\w.-]{1,256}$/.test(text) ? text : undefined),
  }),
  TOKEN: setting({
    doc: 'Hosted: proof that this worker may take that build.',
    rule: 'the token as the manager gave it, without spaces',
    example: 'TOKEN',
    secret: true,
    file: true,
    read: (text) => (/^\S{1,65536}$/.test(text) ? text : undefined),
  }),
  REGISTRATION_TICKET: setting({
    doc: 'Enterprise: the ticket by which the worker registers, for a manager that asks for one (`REGISTRATION=ticket`).',
    rule: 'the ticket as `quay-build-manager ticket` printed it, without spaces',
    example: 'TICKET',
    secret: true,
    file: true,
    read: (text) => (/^\S{1,4096}$/.test(text) ? text : undefined),
  }),
  REGISTRATION_NAME: setting({
    doc: 'The name that the ticket was made for, which several workers may share. `WORKER_ID` when absent.',
    rule: 'up to 128 letters, digits, dots, dashes, underscores and @, beginning with a letter or digit',
    example: 'farm-north',
    read: (text) => (/^[A-Za-z0-9][\w.@-]{0,127}$/.test(text) ? text : undefined),
  }),
  CONTAINER_RUNTIME: setting({
    doc: "Which socket to use when `DOCKER_HOST` is absent: Docker's `unix:///var/run/docker.sock`, or that of root's Podman, `unix:///run/podman/podman.sock`. What the engine can do, the worker asks the engine itself.",
    rule: 'docker or podman',
    example: 'podman',
    default: 'docker',
    read: readChoice(['docker', 'podman']),
  }),
  DOCKER_HOST: setting({
    doc: 'The engine: Docker or Podman, through its socket or over TCP. The socket of `CONTAINER_RUNTIME` when absent.',
    rule: 'unix:///path or tcp://host:port',
    example: 'tcp://engine.example.com:2376',
    read: (text) => (/^(?:unix:\/\/\/\S+|tcp:\/\/[^\s/@]+\/?)$/.test(text) ? text : undefined),
  }),
  DOCKER_CERT_PATH: setting({
    doc: 'For an engine over TCP with TLS: the folder that holds `ca.pem`, `cert.pem` and `key.pem`.',
    rule: 'the path of a folder',
    example: '/etc/quay-builder/engine',
    read: readText,
  }),
  TLS_CA_PATH: setting({
    doc: "The authorities that may have signed the manager's certificate, instead of Node's own and those of `NODE_EXTRA_CA_CERTS`.",
    rule: 'the path of a PEM file',
    example: '/etc/quay-builder/ca.pem',
    read: readText,
  }),
  TLS_CERT_PATH: setting({
    doc: "The worker's own certificate, for a manager that asks for one; `TLS_KEY_PATH` belongs to it.",
    rule: 'the path of a PEM file',
    example: '/etc/quay-builder/worker.pem',
    read: readText,
  }),
  TLS_KEY_PATH: setting({
    doc: 'The key of `TLS_CERT_PATH`.',
    rule: 'the path of a PEM file',
    example: '/etc/quay-builder/worker.key',
    read: readText,
  }),
  TLS_SERVER_NAME: setting({
    doc: "The name that the manager's certificate must be for, if it is not the host of the endpoint.",
    rule: 'a host name',
    example: 'quay-services',
    read: (text) => (/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(text) ? text : undefined),
  }),
  WORKER_ID: setting({
    doc: 'Names this worker to the manager and in its work directory; the same after a restart. The host name when absent.',
    rule: 'up to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit',
    example: 'builder-7',
    read: (text) => (isWorkerId(text) ? text : undefined),
  }),
  LABELS: setting({
    doc: 'Labels that builds can ask for (docs/scheduling.md): `*` stands for any value, `|` separates several, and `!` before a name reserves the worker for builds that ask for it. `platform` is what it builds for.',
    rule: 'NAME=VALUE pairs with commas between them; names of letters, digits, dots, dashes and underscores, after a `!` or none; values of these and `/`, `:`, `@`, `+`, `|`, or `*`',
    example: 'platform=linux/amd64,zone=north,disk=fast|large',
    default: '',
    read: readLabels,
  }),
  CONCURRENCY: setting({
    doc: 'How many builds run at once. Each has a slot: a connection and a realm of its own. They share the engine, and what it has cached.',
    rule: 'a whole number from 1 to 64',
    example: '4',
    default: '1',
    read: readInteger(1, 64),
  }),
  WORK_DIR: setting({
    doc: "The folder for the files of running builds, each in a folder of its own. A folder of the worker's user in the system's temporary folder when absent.",
    rule: 'an absolute path',
    example: '/var/lib/quay-builder',
    read: (text) => (text.startsWith('/') ? text : undefined),
  }),
  GIT_KNOWN_HOSTS_FILE: setting({
    doc: "The host keys of the git servers that builds may fetch from over ssh, in the form of ssh's `known_hosts`: any other server is refused. When absent, the key that a server shows first is trusted, and kept in the work directory; another key later is refused.",
    rule: 'the absolute path of a readable file',
    example: '/etc/quay-builder/known_hosts',
    read: (text) => (text.startsWith('/') ? text : undefined),
  }),
  GIT_SSL_CAINFO: setting(gitAuthoritiesSpec),
  PRIVATE_ADDRESSES: setting({
    ...privateAddressesSpec,
    doc: 'Which loopback and private addresses packages and git repositories may be fetched from. Link-local addresses and the metadata services of clouds are always refused. Uploaded packages come from the manager, whose address must be allowed too.',
  }),
  HTTP_PROXY: setting({
    ...proxySpec,
    doc: 'The proxy for packages and git repositories at http URLs, and for a manager at ws or http (by CONNECT). It may hold a user and a password. The name in lower case counts too.',
  }),
  HTTPS_PROXY: setting({
    ...proxySpec,
    doc: 'The same for https and wss URLs. Git over ssh goes through no proxy.',
  }),
  NO_PROXY: setting(noProxySpec),
  BUILDER: setting({
    doc: "Which of the engine's builders to use: `auto` uses BuildKit where the engine has it.",
    rule: 'auto, buildkit or classic',
    example: 'classic',
    default: 'auto',
    read: readChoice(['auto', 'buildkit', 'classic']),
  }),
  FRONTENDS: setting({
    doc: "The frontend images that BuildKit may pull and run where a Dockerfile (`# syntax=`) or a build argument names one: by name, or by name with its tag or digest. The default is Docker's own. Any other ends the build.",
    rule: 'none, any, or names of images with commas between them',
    example: 'docker/dockerfile,registry.example/team/frontend:2',
    default: 'docker/dockerfile,docker/dockerfile-upstream',
    read: readFrontends,
  }),
  ENTITLEMENTS: setting({
    doc: "What builds may have that ask for it, by BuildKit's names: `network.host`, the network of the engine's machine, its loopback addresses included; `security.insecure`, steps that are root on that machine in all but name; `device`, its devices. The engine must support and allow the last two.",
    rule: `none, or of ${entitlementNames.join(', ')}, with commas between them`,
    example: 'network.host',
    default: 'none',
    read: readEntitlements,
  }),
  PUSH_TO: setting({
    doc: 'Where builds may push besides their own repository when they ask for it (`push_to`): registries, or paths in one. During such a push every build on the engine finds the image under that name, so do not list a place that bases of other builds come from.',
    rule: 'none, or up to 64 of host[:port] or host[:port]/path, with commas between them',
    example: 'mirror.example,backup.example:5000/team',
    default: 'none',
    read: readPlaces,
  }),
  OCI_LABELS: setting({
    doc: 'Whether images get the labels `org.opencontainers.image.` `created`, `source`, `revision` and `base.name`, where the Dockerfile has none of that name. A build may turn them off for itself.',
    rule: 'on or off',
    example: 'off',
    default: 'on',
    read: readChoice(['on', 'off']),
  }),
  DISK_BUDGET: setting({
    doc: "How much of the engine's disk the worker may fill with images, layers and cache: bytes, or a share of what they use already plus what is free on the file system of the engine's data; a share needs an engine at a socket of this machine. The least recently used goes first. What a running build uses stays, and without `ENGINE_IS_OURS` only what the worker brought itself is removed. A hosted worker keeps everything.",
    rule: 'a size in bytes with k, M, G, T, Ki, Mi, Gi or Ti, a percentage from 1% to 100%, or none',
    example: '200G',
    default: '70%',
    read: readDiskBudget,
  }),
  ENGINE_IS_OURS: setting({
    doc: "Whether only this worker uses the engine. Then everything on it counts against `DISK_BUDGET` and may be removed, BuildKit's cache too; several workers must not share such an engine.",
    rule: 'yes or no',
    example: 'yes',
    default: 'no',
    read: readChoice(['yes', 'no']),
  }),
  LOG_SPOOL_MAX: setting({
    doc: "How much of a build's log is kept in `WORK_DIR` while the manager is away, in MiB. Beyond that the build waits; no line is lost.",
    rule: 'a whole number of MiB from 1 to 1048576',
    example: '1024',
    default: '256',
    read: readInteger(1, 2 ** 20),
  }),
  SHUTDOWN_TIMEOUT: setting({
    doc: 'How long a worker that is asked to leave (SIGTERM) lets the running build go on, in seconds.',
    rule: 'a whole number of seconds, 0 to 86400',
    example: '600',
    default: '3600',
    read: readInteger(0, 86_400),
  }),
  LOG_LEVEL: setting({
    doc: "How much the worker's own log says.",
    rule: logLevels.join(', '),
    example: 'debug',
    default: 'info',
    read: readChoice(logLevels),
  }),
  LOG_FORMAT: setting({
    doc: "The form of the worker's own log: `auto` is `pretty` on a terminal, else `json`.",
    rule: 'auto, json or pretty',
    example: 'json',
    default: 'auto',
    read: readChoice(logFormats),
  }),
};

/** The settings of `quay-builder`. */
export const workerConfiguration: Configuration<typeof settings> = {
  program: 'quay-builder',
  settings,
  rules: [
    {
      isBroken: ({ REALM, CONCURRENCY }) => REALM !== null && CONCURRENCY > 1,
      problem: 'CONCURRENCY: a hosted worker (REALM) runs one build; leave it out',
    },
    {
      isBroken: ({ ENDPOINT, SERVER }) => ENDPOINT === null && SERVER === null,
      problem: 'ENDPOINT: it or SERVER must be given, for example wss://builds.example.com/b1/socket',
    },
    {
      isBroken: ({ REALM, TOKEN }) => REALM !== null && TOKEN === null,
      problem: 'TOKEN: must be given together with REALM',
    },
    {
      isBroken: ({ TOKEN, REALM }) => TOKEN !== null && REALM === null,
      problem: 'REALM: must be given together with TOKEN',
    },
    {
      isBroken: ({ REGISTRATION_TICKET, REALM }) => REGISTRATION_TICKET !== null && REALM !== null,
      problem: 'REGISTRATION_TICKET: a hosted worker (REALM) does not register; leave it out',
    },
    {
      isBroken: ({ REGISTRATION_NAME, REGISTRATION_TICKET }) =>
        REGISTRATION_NAME !== null && REGISTRATION_TICKET === null,
      problem: 'REGISTRATION_TICKET: must be given together with REGISTRATION_NAME',
    },
    {
      isBroken: ({ TLS_CERT_PATH, TLS_KEY_PATH }) => (TLS_CERT_PATH === null) !== (TLS_KEY_PATH === null),
      problem: 'TLS_CERT_PATH: it and TLS_KEY_PATH must be given together',
    },
  ],
};

type GivenSettings = SettingValues<typeof settings>;

/** The settings, with the engine's address in any case. */
export interface WorkerSettings extends GivenSettings {
  readonly DOCKER_HOST: string;
}

const SOCKETS = { docker: 'unix:///var/run/docker.sock', podman: 'unix:///run/podman/podman.sock' };

/** Adds where the engine listens, when nobody said so. */
export function withEngineAddress(given: GivenSettings): WorkerSettings {
  return { ...given, DOCKER_HOST: given.DOCKER_HOST ?? SOCKETS[given.CONTAINER_RUNTIME] };
}

/** The WebSocket that these settings name. */
export function endpointOf({ ENDPOINT, SERVER }: Pick<WorkerSettings, 'ENDPOINT' | 'SERVER'>): URL {
  if (ENDPOINT) return ENDPOINT;
  const url = new URL(SERVER ?? '');
  url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
  url.pathname = url.pathname.replace(/\/+$/, '') + SOCKET_PATH;
  return url;
}

/** The files of TLS that these settings name. */
export function tlsPathsOf(settings: WorkerSettings): TlsPaths {
  return {
    ca: settings.TLS_CA_PATH,
    certificate: settings.TLS_CERT_PATH,
    key: settings.TLS_KEY_PATH,
    serverName: settings.TLS_SERVER_NAME,
  };
}

export function workerIdOf({ WORKER_ID }: Pick<WorkerSettings, 'WORKER_ID'>): string {
  const host = hostname();
  return WORKER_ID ?? (isWorkerId(host) ? host : 'worker');
}

/** By what a worker with these settings registers; null where it has no ticket. */
export function ticketOf(
  settings: Pick<WorkerSettings, 'REGISTRATION_TICKET' | 'REGISTRATION_NAME' | 'WORKER_ID'>,
): Ticket | null {
  const { REGISTRATION_TICKET: ticket, REGISTRATION_NAME } = settings;
  return ticket === null ? null : { name: REGISTRATION_NAME ?? workerIdOf(settings), ticket };
}

export function workDirOf({ WORK_DIR }: Pick<WorkerSettings, 'WORK_DIR'>): string {
  // By number: a container's user may have no name.
  return WORK_DIR ?? join(tmpdir(), `quay-builder-${process.getuid?.() ?? ''}`);
}

function isWorkerId(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,127}$/.test(text);
}

function readFrontends(text: string): readonly string[] | 'any' | undefined {
  if (text === 'any') return 'any';
  if (text === 'none') return [];
  const names = text.split(',').map((each) => each.trim());
  return names.every((name) =>
    /^[\w.-]+(?::\d+)?(?:\/[\w.-]+)*(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/.test(name),
  )
    ? names
    : undefined;
}

function readEntitlements(text: string): readonly Entitlement[] | undefined {
  if (text === 'none') return [];
  const names = text.split(',').map((each) => entitlementNames.find((name) => name === each.trim()));
  return names.includes(undefined) ? undefined : names.filter((name) => name !== undefined);
}

function readPlaces(text: string): readonly string[] | undefined {
  if (text === 'none') return [];
  const places = text.split(',').map((each) => each.trim().replace(/\/$/, ''));
  // A path is right when a name below it is.
  const isPlace = (place: string): boolean => readTagReference(`${place}/a/b:c`) !== null;
  return places.length <= 64 && places.every(isPlace) ? places : undefined;
}

function readLabels(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  for (const pair of text.split(',').filter((each) => each.trim() !== '')) {
    const match = /^\s*([^=\s]+)=(\S*)\s*$/.exec(pair);
    if (!match) return undefined;
    labels[match[1] ?? ''] = match[2] ?? '';
  }
  return workerLabelsSchema.safeParse(labels).success ? labels : undefined;
}
