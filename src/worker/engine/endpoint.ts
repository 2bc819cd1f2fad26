import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from './engine.ts';

/** Where the engine listens, in the words of `node:http`, `node:https` and dockerode. */
export interface Endpoint {
  /** As the operator wrote it, for messages. */
  readonly name: string;
  readonly protocol: 'http' | 'https';
  readonly address:
    | { readonly socketPath: string }
    | {
        readonly host: string;
        readonly port: number;
        readonly tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer } | null;
      };
}

const DEFAULT_PORT = 2375;
const DEFAULT_TLS_PORT = 2376;

/**
 * Reads `DOCKER_HOST` (`unix:///path` or `tcp://host:port`) and, for tcp, the certificates of `DOCKER_CERT_PATH`
 * (contract 0.3, "How a worker is started"). Throws an EngineError `refused` that says what is wrong.
 */
export function parseEndpoint(dockerHost: string, certPath?: string): Endpoint {
  if (dockerHost.startsWith('unix://')) {
    const socketPath = dockerHost.slice('unix://'.length);
    if (!socketPath.startsWith('/')) throw wrong(dockerHost);
    return { name: dockerHost, protocol: 'http', address: { socketPath } };
  }
  const url = URL.canParse(dockerHost) ? new URL(dockerHost) : null;
  if (url?.protocol !== 'tcp:' || url.hostname === '' || !['', '/'].includes(url.pathname)) {
    throw wrong(dockerHost);
  }
  const tls = certPath === undefined || certPath === '' ? null : readCertificates(certPath);
  return {
    name: dockerHost,
    protocol: tls ? 'https' : 'http',
    address: {
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? (tls ? DEFAULT_TLS_PORT : DEFAULT_PORT) : Number(url.port),
      tls,
    },
  };
}

function wrong(dockerHost: string): EngineError {
  return new EngineError(
    'refused',
    `DOCKER_HOST must be unix:///path or tcp://host:port, as unix:///var/run/docker.sock; it is ${dockerHost}`,
  );
}

function readCertificates(certPath: string): { ca: Buffer; cert: Buffer; key: Buffer } {
  try {
    return {
      ca: readFileSync(join(certPath, 'ca.pem')),
      cert: readFileSync(join(certPath, 'cert.pem')),
      key: readFileSync(join(certPath, 'key.pem')),
    };
  } catch (error) {
    throw new EngineError('refused', 'DOCKER_CERT_PATH must hold ca.pem, cert.pem and key.pem', {
      cause: error,
    });
  }
}
