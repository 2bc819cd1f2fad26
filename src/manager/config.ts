import type { Configuration } from '../contract/configuration.ts';
import { isEveryAddress, isLoopback } from './listen-address.ts';
import { settings } from './settings.ts';

/** What `quay-build-manager` may be told: environment and file, one reference. */
export const managerConfiguration: Configuration<typeof settings> = {
  program: 'quay-build-manager',
  settings,
  check: (values) => [
    ...(values.API_TOKENS_FILE === null &&
    !isLoopback(values.LISTEN_HTTP) &&
    values.OPEN_HTTP_TO_EVERYBODY === 'no'
      ? [
          'LISTEN_HTTP: is not a loopback address, and the API would be open to whoever reaches it: set API_TOKENS_FILE, or OPEN_HTTP_TO_EVERYBODY=yes',
        ]
      : []),
    ...(values.REGISTRATION === 'open' &&
    values.WAMP_TLS_CLIENT_CA_PATH === null &&
    !isLoopback(values.LISTEN_WAMP) &&
    values.OPEN_REGISTRATION_TO_EVERYBODY === 'no'
      ? [
          'LISTEN_WAMP: is not a loopback address, and whoever reaches it could become a worker: set REGISTRATION=ticket, REGISTRATION=off or WAMP_TLS_CLIENT_CA_PATH, or OPEN_REGISTRATION_TO_EVERYBODY=yes',
        ]
      : []),
    ...((values.WAMP_TLS_CERT_PATH === null) === (values.WAMP_TLS_KEY_PATH === null)
      ? []
      : ['WAMP_TLS_CERT_PATH: it and WAMP_TLS_KEY_PATH must be given together']),
    ...(values.WAMP_TLS_CLIENT_CA_PATH !== null && values.WAMP_TLS_CERT_PATH === null
      ? ['WAMP_TLS_CERT_PATH: must be given together with WAMP_TLS_CLIENT_CA_PATH']
      : []),
    ...((values.REGISTRATION === 'ticket') === (values.REGISTRATION_TICKETS_FILE === null)
      ? ['REGISTRATION_TICKETS_FILE: give it together with REGISTRATION=ticket, or neither']
      : []),
    ...(values.PUBLIC_URL === null && isEveryAddress(values.LISTEN_HTTP)
      ? ['PUBLIC_URL: say how workers and engines reach LISTEN_HTTP, which is every address of this machine']
      : []),
    ...(values.EXECUTORS_FILE !== null &&
    values.PUBLIC_WAMP_URL === null &&
    isEveryAddress(values.LISTEN_WAMP)
      ? ['PUBLIC_WAMP_URL: say how hosted workers reach LISTEN_WAMP, which is every address of this machine']
      : []),
    ...((values.REGISTRY_USERNAME === null) === (values.REGISTRY_PASSWORD === null)
      ? []
      : ['REGISTRY_USERNAME: give it together with REGISTRY_PASSWORD_FILE, or neither']),
    ...(values.REGISTRY_TOKEN_SERVICE !== null && values.REGISTRY_USERNAME !== null
      ? [
          'REGISTRY_TOKEN_SERVICE: the registry takes either tokens or one user, so leave out REGISTRY_USERNAME or this',
        ]
      : []),
    ...(values.REGISTRY === null && values.REGISTRY_URL !== null
      ? ['REGISTRY_URL: give it together with REGISTRY, the name that images have there']
      : []),
    ...(values.REGISTRY === null && (values.REGISTRY_TOKEN_SERVICE ?? values.REGISTRY_USERNAME) !== null
      ? ['REGISTRY: say which registry these credentials are for']
      : []),
  ],
};
