import type Docker from 'dockerode';
import type { Endpoint } from './endpoint.ts';

/** dockerode with this endpoint, loaded when it is first asked for: it takes a sixth of a second. */
export function dockerClient(endpoint: Endpoint): () => Promise<Docker> {
  let client: Promise<Docker> | null = null;
  return () => (client ??= connect(endpoint));
}

async function connect({ protocol, address }: Endpoint): Promise<Docker> {
  const { default: DockerClient } = await import('dockerode');
  // Each name is given, as undefined too: dockerode takes from DOCKER_HOST and DOCKER_CERT_PATH what is not.
  return new DockerClient({
    protocol,
    timeout: undefined,
    ...('socketPath' in address
      ? {
          socketPath: address.socketPath,
          host: undefined,
          port: undefined,
          ca: undefined,
          cert: undefined,
          key: undefined,
        }
      : {
          socketPath: undefined,
          host: address.host,
          port: address.port,
          ca: address.tls?.ca,
          cert: address.tls?.cert,
          key: address.tls?.key,
        }),
  });
}
