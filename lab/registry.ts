import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folderPrefix } from './orphans.ts';
import { startProcess } from './process.ts';

/** How a registry asks its users who they are. */
export type RegistryAuth =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'token';
      /** The token server's URL, as engines reach it. */
      readonly realm: string;
      readonly service: string;
      readonly issuer: string;
      /** PEM file of the certificates that tokens are signed with. */
      readonly rootCertBundle: string;
    }
  | { readonly kind: 'htpasswd'; readonly path: string };

export interface LabRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`, which engines take for insecure without being told. */
  readonly host: string;
  readonly pid: number;
  output(): string;
  stop(): Promise<void>;
}

/** Starts Debian's docker-registry on the loopback. Without a folder, what it stores goes when it stops. */
export async function startRegistry(
  auth: RegistryAuth = { kind: 'open' },
  options: { port?: number; storage?: string } = {},
): Promise<LabRegistry> {
  const directory = await mkdtemp(`${folderPrefix()}registry-`);
  const config = join(directory, 'config.json');
  // The registry reads YAML, of which JSON is a part.
  await writeFile(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'info' },
      storage: {
        filesystem: { rootdirectory: options.storage ?? join(directory, 'data') },
        delete: { enabled: true },
      },
      http: { addr: `127.0.0.1:${options.port ?? 0}` },
      ...authSection(auth),
    }),
  );
  const server = startProcess('docker-registry', ['serve', config]);
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const [, host = ''] = await server.printed(/listening on (127\.0\.0\.1:\d+)\D/);
    return { host, pid: server.pid, output: () => server.output(), stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function authSection(auth: RegistryAuth): object {
  switch (auth.kind) {
    case 'open':
      return {};
    case 'token':
      return {
        auth: {
          token: {
            realm: auth.realm,
            service: auth.service,
            issuer: auth.issuer,
            rootcertbundle: auth.rootCertBundle,
          },
        },
      };
    case 'htpasswd':
      return { auth: { htpasswd: { realm: 'lab', path: auth.path } } };
  }
}
