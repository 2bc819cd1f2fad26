import type { Configuration } from '../contract/configuration.ts';
import { isEveryAddress, isLoopback } from './listen-address.ts';
import { settings } from './settings.ts';

/** What `quay-build-manager` may be told: environment and file, one reference. */
export const managerConfiguration: Configuration<typeof settings> = {
  program: 'quay-build-manager',
  settings,
  rules: [
    {
      isBroken: ({ API_TOKENS_FILE, LISTEN_HTTP, OPEN_HTTP_TO_EVERYBODY }) =>
        API_TOKENS_FILE === null && !isLoopback(LISTEN_HTTP) && OPEN_HTTP_TO_EVERYBODY === 'no',
      problem:
        'LISTEN_HTTP: is not a loopback address, and the API would be open to whoever reaches it: set API_TOKENS_FILE, or OPEN_HTTP_TO_EVERYBODY=yes',
    },
    {
      isBroken: ({ REGISTRATION, WAMP_TLS_CLIENT_CA_PATH, LISTEN_WAMP, OPEN_REGISTRATION_TO_EVERYBODY }) =>
        REGISTRATION === 'open' &&
        WAMP_TLS_CLIENT_CA_PATH === null &&
        !isLoopback(LISTEN_WAMP) &&
        OPEN_REGISTRATION_TO_EVERYBODY === 'no',
      problem:
        'LISTEN_WAMP: is not a loopback address, and whoever reaches it could become a worker: set REGISTRATION=ticket, REGISTRATION=off or WAMP_TLS_CLIENT_CA_PATH, or OPEN_REGISTRATION_TO_EVERYBODY=yes',
    },
    {
      isBroken: ({ WAMP_TLS_CERT_PATH, WAMP_TLS_KEY_PATH }) =>
        (WAMP_TLS_CERT_PATH === null) !== (WAMP_TLS_KEY_PATH === null),
      problem: 'WAMP_TLS_CERT_PATH: it and WAMP_TLS_KEY_PATH must be given together',
    },
    {
      isBroken: ({ WAMP_TLS_CLIENT_CA_PATH, WAMP_TLS_CERT_PATH }) =>
        WAMP_TLS_CLIENT_CA_PATH !== null && WAMP_TLS_CERT_PATH === null,
      problem: 'WAMP_TLS_CERT_PATH: must be given together with WAMP_TLS_CLIENT_CA_PATH',
    },
    {
      isBroken: ({ REGISTRATION, REGISTRATION_TICKETS_FILE }) =>
        (REGISTRATION === 'ticket') !== (REGISTRATION_TICKETS_FILE !== null),
      problem: 'REGISTRATION_TICKETS_FILE: give it together with REGISTRATION=ticket, or neither',
    },
    {
      isBroken: ({ PUBLIC_URL, LISTEN_HTTP }) => PUBLIC_URL === null && isEveryAddress(LISTEN_HTTP),
      problem:
        'PUBLIC_URL: say how workers and engines reach LISTEN_HTTP, which is every address of this machine',
    },
    {
      isBroken: ({ EXECUTORS_FILE, PUBLIC_WAMP_URL, LISTEN_WAMP }) =>
        EXECUTORS_FILE !== null && PUBLIC_WAMP_URL === null && isEveryAddress(LISTEN_WAMP),
      problem:
        'PUBLIC_WAMP_URL: say how hosted workers reach LISTEN_WAMP, which is every address of this machine',
    },
    {
      isBroken: ({ REGISTRY_USERNAME, REGISTRY_PASSWORD }) =>
        (REGISTRY_USERNAME === null) !== (REGISTRY_PASSWORD === null),
      problem: 'REGISTRY_USERNAME: give it together with REGISTRY_PASSWORD_FILE, or neither',
    },
    {
      isBroken: ({ REGISTRY_TOKEN_SERVICE, REGISTRY_USERNAME }) =>
        REGISTRY_TOKEN_SERVICE !== null && REGISTRY_USERNAME !== null,
      problem:
        'REGISTRY_TOKEN_SERVICE: the registry takes either tokens or one user, so leave out REGISTRY_USERNAME or this',
    },
    {
      isBroken: ({ REGISTRY, REGISTRY_URL }) => REGISTRY === null && REGISTRY_URL !== null,
      problem: 'REGISTRY_URL: give it together with REGISTRY, the name that images have there',
    },
    {
      isBroken: ({ REGISTRY, REGISTRY_TOKEN_SERVICE, REGISTRY_USERNAME }) =>
        REGISTRY === null && (REGISTRY_TOKEN_SERVICE !== null || REGISTRY_USERNAME !== null),
      problem: 'REGISTRY: say which registry these credentials are for',
    },
  ],
};
