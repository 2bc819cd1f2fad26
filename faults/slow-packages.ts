import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of Dockerfiles that takes its time, so that fetching one is a while in which something can happen. */
export interface SlowPackages extends AsyncDisposable {
  /** Serves this text, and answers with its URL. */
  serve(name: string, text: string): string;
}

/** How long an answer begins before it goes on, in milliseconds. */
const PAUSE_MS = 700;

export async function startSlowPackages(address: string): Promise<SlowPackages> {
  const texts = new Map<string, string>();
  const server = createServer((request, response) => {
    const text = texts.get(request.url ?? '');
    if (text === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-length': Buffer.byteLength(text) });
    response.write(text.slice(0, 1));
    setTimeout(() => response.end(text.slice(1)), PAUSE_MS);
  }).listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    serve(name, text) {
      texts.set(`/${name}`, text);
      return `http://${address}:${port}/${name}`;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
