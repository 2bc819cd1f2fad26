import { createHash } from 'node:crypto';

/** Pushes an image without layers to a registry, as `authorization` where it asks who one is. */
export async function pushTinyImage(
  host: string,
  repository: string,
  tag: string,
  authorization?: string,
): Promise<void> {
  const base = `http://${host}/v2/${repository}`;
  const demand = async (
    url: string | URL,
    init: { readonly method: string; readonly body?: string; readonly type?: string },
  ): Promise<Response> => {
    const headers = new Headers();
    if (authorization !== undefined) headers.set('authorization', authorization);
    if (init.type !== undefined) headers.set('content-type', init.type);
    const answer = await fetch(url, { method: init.method, body: init.body ?? null, headers });
    if (!answer.ok) throw new Error(`the registry answered ${answer.status}: ${await answer.text()}`);
    return answer;
  };
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [] },
  });
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const begun = await demand(`${base}/blobs/uploads/`, { method: 'POST' });
  const upload = new URL(begun.headers.get('location') ?? '', base);
  upload.searchParams.set('digest', digest);
  await demand(upload, {
    method: 'PUT',
    body: config,
    type: 'application/octet-stream',
  });
  const mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: config.length, digest },
    layers: [],
  };
  await demand(`${base}/manifests/${tag}`, {
    method: 'PUT',
    body: JSON.stringify(manifest),
    type: mediaType,
  });
}
