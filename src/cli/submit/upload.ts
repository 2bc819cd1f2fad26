import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Build, BuildRequestBody } from '../../contract/api.ts';
import { buildSchema } from '../../contract/api.ts';
import type { Created, ManagerClient, PostBody } from '../client/client.ts';
import { packFolder } from './pack.ts';
import { requireDockerfile } from './require-dockerfile.ts';
import type { Source } from './source.ts';

/** What is told while something is sent. */
export interface SendProgress {
  readonly what: 'packing' | 'sending';
  /** bytes */
  readonly current: number;
  /** Null while it is not known. */
  readonly total: number | null;
}

export interface Sending {
  readonly onProgress: (progress: SendProgress) => void;
  /** Aborting leaves nothing behind on this machine, and submits nothing. */
  readonly signal: AbortSignal;
}

const BUILDS = '/api/v1/builds';

/** Submits a build of this source, or finds the one with its `dedupe_key`. The request names everything but the source. */
export async function submitSource(
  client: ManagerClient,
  request: BuildRequestBody,
  source: Source,
  sending: Sending,
): Promise<Created<Build>> {
  switch (source.type) {
    case 'url':
      return submitJson(client, { ...request, build_package: source.url });
    case 'git': {
      const git = {
        url: source.url,
        ...(source.ref === null ? {} : { ref: source.ref }),
        ...(source.privateKey === undefined ? {} : { private_key: source.privateKey }),
      };
      return submitJson(client, { ...request, git, context: request.context ?? source.folder });
    }
    case 'file':
      return submitFile(client, request, source.path, source.size, sending);
    case 'folder':
      return submitFolder(client, request, source.path, sending);
  }
}

async function submitFolder(
  client: ManagerClient,
  request: BuildRequestBody,
  folder: string,
  sending: Sending,
): Promise<Created<Build>> {
  const { context = '', dockerfile_path: dockerfile = '' } = request;
  await requireDockerfile({ folder, context, dockerfile });
  const directory = await mkdtemp(join(tmpdir(), 'quay-build-'));
  try {
    const archive = join(directory, 'package.tar.gz');
    await packFolder(
      {
        folder,
        context,
        dockerfile,
        onProgress: (current) => sending.onProgress({ what: 'packing', current, total: null }),
        signal: sending.signal,
      },
      archive,
    );
    return await submitFile(client, request, archive, (await stat(archive)).size, sending);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function submitJson(client: ManagerClient, request: BuildRequestBody): Promise<Created<Build>> {
  const content = JSON.stringify(request);
  const body: PostBody = { contentType: 'application/json', length: Buffer.byteLength(content), content };
  return client.create(BUILDS, body, buildSchema);
}

/** The package follows the request in one body of known length, so that nothing of it is held in memory. */
function submitFile(
  client: ManagerClient,
  request: BuildRequestBody,
  path: string,
  size: number,
  { onProgress, signal }: Sending,
): Promise<Created<Build>> {
  const boundary = `quay-build-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="request"\r\nContent-Type: application/json\r\n\r\n` +
      `${JSON.stringify(request)}\r\n--${boundary}\r\n` +
      'Content-Disposition: form-data; name="package"; filename="package"\r\nContent-Type: application/octet-stream\r\n\r\n',
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* content(): AsyncGenerator<Uint8Array> {
    yield head;
    let sent = 0;
    // A file that grows meanwhile is sent as long as it was.
    const bytes = size === 0 ? [] : createReadStream(path, { end: size - 1, signal });
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      sent += chunk.length;
      onProgress({ what: 'sending', current: sent, total: size });
      yield chunk;
    }
    yield tail;
  }
  const body: PostBody = {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: head.length + size + tail.length,
    content: content(),
    signal,
  };
  return client.create(BUILDS, body, buildSchema);
}
