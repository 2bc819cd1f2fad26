import type { Server } from 'node:https';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { readBounded } from '../../contract/bounded-file.ts';
import { SETTINGS_FILE_MAX_BYTES } from '../../contract/configuration.ts';
import { reasonOf } from '../../contract/reason.ts';
import { TLS_LOOK_MS } from '../limits.ts';

/** Where the certificates of a listener lie, as PEM files. */
export interface ListenerTlsPaths {
  /** The listener's own certificate, with those between it and its authority. */
  readonly certificate: string;
  /** The key of the certificate. */
  readonly key: string;
  /** The authorities that clients must have a certificate of; null: none is asked for. */
  readonly clientCa: string | null;
}

/** Certificates that cannot be used. The message names the setting and what is wrong, and nothing of a key. */
export class ListenerTlsError extends Error {
  override readonly name = 'ListenerTlsError';
}

/** What a listener shows and asks for. */
export type ListenerTls = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>;

/**
 * Reads a listener's certificates, whole and fit for each other.
 *
 * @throws ListenerTlsError
 */
export async function readListenerTls({
  certificate,
  key,
  clientCa,
}: ListenerTlsPaths): Promise<ListenerTls> {
  const read = async (setting: string, path: string): Promise<string> => {
    try {
      return (await readBounded(path, SETTINGS_FILE_MAX_BYTES)).toString('utf8');
    } catch (error) {
      throw new ListenerTlsError(`${setting}: must be the path of a readable PEM file: ${reasonOf(error)}`);
    }
  };
  const tls: ListenerTls = {
    cert: await read('WAMP_TLS_CERT_PATH', certificate),
    key: await read('WAMP_TLS_KEY_PATH', key),
    ...(clientCa === null ? {} : { ca: await read('WAMP_TLS_CLIENT_CA_PATH', clientCa) }),
  };
  for (const [setting, part] of [
    ['WAMP_TLS_CERT_PATH', { cert: tls.cert }],
    ['WAMP_TLS_KEY_PATH, which must be the key of WAMP_TLS_CERT_PATH', { cert: tls.cert, key: tls.key }],
    ['WAMP_TLS_CLIENT_CA_PATH', { ca: tls.ca }],
  ] as const) {
    try {
      createSecureContext(part);
    } catch (error) {
      throw new ListenerTlsError(`${setting}: cannot be used: ${reasonOf(error)}`);
    }
  }
  if (typeof tls.ca === 'string' && !tls.ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw new ListenerTlsError('WAMP_TLS_CLIENT_CA_PATH: cannot be used: it holds no certificate');
  }
  return tls;
}

/**
 * Has a listener show renewed certificates, and ask for those of renewed authorities, from its next connection on. Files that do not
 * fit each other, as while they are being replaced, are reported once and leave what was.
 */
export function watchListenerTls(
  server: Pick<Server, 'setSecureContext'>,
  paths: ListenerTlsPaths,
  first: ListenerTls,
  logger: { info(fields: object, message: string): void; warn(fields: object, message: string): void },
): { stop(): void } {
  const textOf = (tls: ListenerTls): string => JSON.stringify([tls.cert, tls.key, tls.ca]);
  let current = textOf(first);
  let told = '';

  const look = async (): Promise<void> => {
    try {
      const tls = await readListenerTls(paths);
      told = '';
      if (textOf(tls) === current) return;
      server.setSecureContext(tls);
      current = textOf(tls);
      logger.info({}, "the workers' listener has new certificates");
    } catch (error) {
      if (!(error instanceof ListenerTlsError)) throw error;
      if (told !== error.message) logger.warn({ reason: error.message }, 'certificates cannot be renewed');
      told = error.message;
    }
  };

  let looking: Promise<void> | null = null;
  const timer = setInterval(() => {
    looking ??= look()
      .catch((error: unknown) => logger.warn({ err: error }, 'looking for renewed certificates failed'))
      .finally(() => {
        looking = null;
      });
  }, TLS_LOOK_MS);
  return { stop: () => clearInterval(timer) };
}
