import { readBoundedSync } from '../../contract/bounded-file.ts';
import { ConfigurationError, SETTINGS_FILE_MAX_BYTES } from '../../contract/configuration.ts';
import { reasonOf } from '../../contract/reason.ts';

/** Where the certificates of a `wss://` connection lie; each counts on its own (contract 0.3, "How a worker is started"). */
export interface TlsPaths {
  /** Certificate authorities that the manager must be signed by, instead of the system's. */
  readonly ca: string | null;
  /** The worker's own certificate, and its key. */
  readonly certificate: string | null;
  readonly key: string | null;
  /** The name that the manager's certificate must be for, where it is not the endpoint's host. */
  readonly serverName: string | null;
}

export interface TlsOptions {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
}

/**
 * Reads what a connection needs, anew for each one, so that a renewed certificate counts at the next.
 * Throws a ConfigurationError that names the setting whose file cannot be read.
 */
export function readTlsOptions(paths: TlsPaths): TlsOptions {
  return {
    ...(paths.ca === null ? {} : { ca: read('TLS_CA_PATH', paths.ca) }),
    ...(paths.certificate === null ? {} : { cert: read('TLS_CERT_PATH', paths.certificate) }),
    ...(paths.key === null ? {} : { key: read('TLS_KEY_PATH', paths.key) }),
    ...(paths.serverName === null ? {} : { servername: paths.serverName }),
  };
}

function read(setting: string, path: string): Buffer {
  try {
    return readBoundedSync(path, SETTINGS_FILE_MAX_BYTES);
  } catch (error) {
    throw new ConfigurationError([`${setting}: must be the path of a readable PEM file: ${reasonOf(error)}`]);
  }
}
