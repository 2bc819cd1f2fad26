import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';

/** A registry that has one small image under every name, and knows which names it was asked for. */
export interface AskedRegistry extends AsyncDisposable {
  readonly host: string;
  /** Forgets what it was asked for, and has this image from now on: one that the engine knows by its digest is not asked for. */
  begin(image: SmallImage): void;
  /** `name:tag` and `name@digest`, each once. */
  asked(): ReadonlySet<string>;
}

export interface SmallImage {
  readonly digest: string;
  readonly manifest: Buffer;
  readonly blobs: ReadonlyMap<string, Buffer>;
}

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

/** An image of one file; another mark makes another image. */
export async function makeSmallImage(mark: string): Promise<SmallImage> {
  const tar = pack();
  tar.entry({ name: 'etc/motd', mtime: new Date(0) }, 'an image of a test\n');
  tar.finalize();
  const layer = await buffer(tar);
  const packed = gzipSync(layer);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { mark } },
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  );
  const described = (mediaType: string, content: Buffer): object => ({
    mediaType,
    size: content.length,
    digest: digestOf(content),
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: described('application/vnd.docker.container.image.v1+json', config),
      layers: [described('application/vnd.docker.image.rootfs.diff.tar.gzip', packed)],
    }),
  );
  return {
    digest: digestOf(manifest),
    manifest,
    blobs: new Map([packed, config].map((content) => [digestOf(content), content])),
  };
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Starts one on the loopback. */
export async function startAskedRegistry(): Promise<AskedRegistry> {
  let image: SmallImage | null = null;
  let asked = new Set<string>();
  const send = (response: ServerResponse, type: string, content: Buffer | undefined): void => {
    if (!content) {
      response.writeHead(404).end();
      return;
    }
    response
      .writeHead(200, {
        'content-type': type,
        'content-length': content.length,
        'docker-content-digest': digestOf(content),
      })
      .end(response.req.method === 'HEAD' ? undefined : content);
  };
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    const [, name = '', what, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    if (what === 'manifests') {
      // The engine asks by the digest too, once it knows it from the tag.
      if (reference !== image?.digest || !hasTag(asked, name)) asked.add(nameOf(name, reference));
      send(response, MANIFEST, image?.manifest);
    } else if (what === 'blobs') send(response, 'application/octet-stream', image?.blobs.get(reference));
    else response.writeHead(200, { 'docker-distribution-api-version': 'registry/2.0' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    begin: (next) => {
      image = next;
      asked = new Set();
    },
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function nameOf(name: string, reference: string): string {
  return reference.startsWith('sha256:') ? `${name}@${reference}` : `${name}:${reference}`;
}

function hasTag(asked: ReadonlySet<string>, name: string): boolean {
  return [...asked].some((each) => each.startsWith(`${name}:`));
}
