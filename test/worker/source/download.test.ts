import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  startPackageServer,
  type LabPackageServer,
  type PackageAnswer,
} from '../../../lab/package-server.ts';
import { freePort } from '../../../lab/ports.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import type { SourceLimits } from '../../../src/worker/source/limits.ts';
import { createWorkplace, fetchInto, refusal, waitLess, type Workplace } from './harness.ts';
import { writeTarGz } from './tar-writer.ts';

const dockerfile = Buffer.from('FROM busybox\n');
const good: PackageAnswer = { kind: 'bytes', body: dockerfile, contentType: 'text/plain' };
/** What could let someone fetch the package, and must never be shown. */
const SECRETS = ['capability', 'signature', 'mallory', 'pass%3Aword', 'pass:word'];

let server: LabPackageServer;
let place: Workplace;
beforeEach(async () => {
  server = await startPackageServer();
  place = await createWorkplace();
});
afterEach(async () => {
  await server.stop();
  await place[Symbol.asyncDispose]();
});

function address(port = new URL(server.url).port): string {
  return `http://mallory:pass%3Aword@127.0.0.1:${port}/capability/package?signature=1`;
}

function fetchPackage(limits: Partial<SourceLimits> = {}, url = address(), signal?: AbortSignal) {
  const fetchSource = createSourceFetcher({ limits, wait: waitLess, random: () => 0.5 });
  return fetchInto(place, fetchSource, { build_package: url }, signal);
}

async function refuse(...given: Parameters<typeof fetchPackage>): Promise<string> {
  const { message, cause } = await refusal(fetchPackage(...given), 'buildpackissue');
  for (const secret of SECRETS) expect(`${message} ${String(cause)}`).not.toContain(secret);
  return message;
}

function serve(...answers: PackageAnswer[]): void {
  server.serve('/capability/package', ...answers);
}

test.each([404, 403, 401, 410, 400])(
  'status %i is not tried again, and is named without the URL',
  async (status) => {
    serve({ kind: 'status', status });
    expect(await refuse()).toMatch(new RegExp(`^${server.url}/… answered ${status} [A-Z]`));
    expect(server.requests).toHaveLength(1);
  },
);

test.each([500, 502, 503, 429])('status %i may pass: the package is asked for again', async (status) => {
  serve({ kind: 'status', status }, { kind: 'status', status }, good);
  const { messages, source } = await fetchPackage();
  expect(source.base.name).toBe('busybox');
  expect(messages.filter((each) => each.status?.includes(`answered ${status}`))).toHaveLength(2);
});

test('between two tries it waits twice as long each time, spread by chance', async () => {
  serve({ kind: 'status', status: 503 });
  for (const [chance, expected] of [
    [0.5, [500, 1000, 2000]],
    [0, [250, 500, 1000]],
  ] as const) {
    const waits: number[] = [];
    const fetchSource = createSourceFetcher({
      random: () => chance,
      wait: (ms) => {
        waits.push(ms);
        return Promise.resolve();
      },
    });
    const fetching = fetchInto(place, fetchSource, { build_package: address() });
    expect((await refusal(fetching, 'buildpackissue')).message).toContain('(tried 4 times)');
    expect(waits).toEqual(expected);
  }
});

test('a server that stays broken is given up, and said how often it was tried', async () => {
  serve({ kind: 'status', status: 503 });
  expect(await refuse()).toMatch(/answered 503 Service Unavailable \(tried 4 times\)$/);
  expect(server.requests).toHaveLength(4);
});

test('a package that breaks off is fetched again from its beginning', async () => {
  serve({ ...good, body: Buffer.concat([dockerfile, dockerfile]), breakAfter: 15 }, good);
  expect((await fetchPackage()).source.base.name).toBe('busybox');
  expect(server.requests).toHaveLength(2);
});

test('an archive that breaks off while it is unpacked leaves nothing of what came', async () => {
  const contentType = 'application/gzip';
  const half = writeTarGz([
    { name: 'Dockerfile', content: 'FROM scratch\n' },
    { name: 'old/file', content: randomBytes(500_000) },
  ]);
  const whole = writeTarGz([{ name: 'Dockerfile', content: dockerfile }]);
  serve(
    { kind: 'bytes', body: half, contentType, breakAfter: 400_000 },
    { kind: 'bytes', body: whole, contentType },
  );
  const { source } = await fetchPackage();
  expect(source.base.name).toBe('busybox');
  expect(await readdir(source.contextDirectory)).toEqual(['Dockerfile']);
  expect(server.requests).toHaveLength(2);
});

test('an archive that is refused is not fetched to its end', async () => {
  const body = writeTarGz([
    { name: '../outside', content: 'x' },
    { name: 'filling', content: randomBytes(200_000) },
  ]);
  serve({ kind: 'bytes', body, contentType: 'application/gzip', hangAfter: 100_000 });
  const { message } = await refusal(fetchPackage(), 'cannotextractbuildpack');
  expect(message).toContain('leaves the package');
});

test.each([false, true])(
  'an archive is unpacked whether its length is known or not (%j)',
  async (chunked) => {
    const body = writeTarGz([{ name: 'Dockerfile', content: dockerfile }]);
    serve({ kind: 'bytes', body, contentType: 'application/gzip', chunked });
    expect((await fetchPackage()).source.base.name).toBe('busybox');
  },
);

test('a package that always breaks off is no package', async () => {
  for (const chunked of [true, false]) {
    serve({ ...good, breakAfter: 5, chunked });
    expect(await refuse({ tries: 2 })).toContain('closed the connection before the package was complete');
  }
});

test('a server that does not answer is cut off', async () => {
  serve({ kind: 'hang' });
  expect(await refuse({ stallMs: 300, tries: 1 })).toContain('sent nothing for 300 ms');
});

test('a server that stops in the middle is cut off', async () => {
  serve({ ...good, hangAfter: 5 });
  expect(await refuse({ stallMs: 300, tries: 1 })).toContain('sent nothing for 300 ms');
});

test('a server that is not there is named', async () => {
  const port = await freePort();
  expect(await refuse({ tries: 2 }, address(String(port)))).toBe(
    `http://127.0.0.1:${port}/… could not be reached (ECONNREFUSED) (tried 2 times)`,
  );
});

test('a server that speaks no http is a failure like another', async () => {
  const other = createServer((socket) =>
    socket
      .on('error', () => undefined)
      .resume()
      .end('220 smtp ready\r\n'),
  );
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  expect(await refuse({ tries: 1 }, address(String(port)))).toContain(
    'could not be reached (HTTPParserError)',
  );
  const closed = once(other, 'close');
  other.close();
  await closed;
});

test('redirects are followed, with credentials for their own origin only', async () => {
  await using other = await startPackageServer();
  serve({ kind: 'status', status: 302, location: '/capability/next' });
  server.serve('/capability/next', { kind: 'status', status: 302, location: `${other.url}/signature` });
  other.serve('/signature', good);
  await fetchPackage();
  const basic = `Basic ${Buffer.from('mallory:pass:word').toString('base64')}`;
  expect(server.requests.map((each) => each.headers.authorization)).toEqual([basic, basic]);
  expect(other.requests.map((each) => each.headers.authorization)).toEqual([undefined]);
});

test('the body of a refusal, and of a redirect, is not waited for', async () => {
  serve({ kind: 'status', status: 404, hang: true });
  expect(await refuse()).toContain('answered 404');
  serve({ kind: 'status', status: 302, hang: true, location: '/capability/next' });
  server.serve('/capability/next', good);
  expect((await fetchPackage()).source.base.name).toBe('busybox');
});

test('a circle of redirects ends', async () => {
  serve({ kind: 'status', status: 302, location: '/capability/package' });
  expect(await refuse({ redirects: 3 })).toContain('redirects more than 3 times');
  expect(server.requests).toHaveLength(4);
});

test.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'http://'])(
  'a redirect to %s is refused',
  async (location) => {
    serve({ kind: 'status', status: 302, location });
    expect(await refuse()).toMatch(/Give an http or https URL|redirects to what is no URL/);
  },
);

test.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'package.tar', 'javascript:1'])(
  'the URL %s is refused',
  async (url) => {
    expect(await refuse({}, url)).toContain('Give an http or https URL');
  },
);

test('a package over the limit is refused before it is fetched, or as it comes', async () => {
  for (const chunked of [false, true]) {
    serve({ ...good, body: Buffer.alloc(100_000, 'x'), chunked });
    const { message } = await refusal(fetchPackage({ packageBytes: 65_536 }), 'cannotextractbuildpack');
    expect(message).toContain('larger than 64 KiB');
  }
});

test.each([
  ['application/json', '{}', /of the media type "application\/json"/],
  [
    'text/html',
    '<p>',
    /"text\/html", which cannot be built from\. Send a tar, tar\.gz, tar\.bz2, tar\.xz or zip archive, or a lone/,
  ],
  ['image/png', 'x', /"image\/png"/],
  [
    'text/plain',
    '\u00ef\u00bb\u00bf\n<!DOCTYPE html><title>Log in',
    /is an HTML page \(does its URL ask for a login\?\)/,
  ],
  ['application/gzip', '<HTML><body>', /an HTML page/],
  ['application/zip', '<html lang="en">', /an HTML page/],
  ['application/json', '7z\u00bc\u00af\u0027\u001c', /a 7-Zip archive/],
  ['application/x-tar', '(\u00b5/\u00fd', /a zstd file/],
  [null, '\u0004"M\u0018', /an lz4 file/],
  ['text/plain', '7z\u00bc\u00af\u0027\u001c', /a 7-Zip archive/],
  [null, 'Rar!\u001a\u0007', /a RAR archive/],
  ['application/octet-stream', '(\u00b5/\u00fd', /a zstd file/],
  ['application/octet-stream', 'FROM\0busybox', /binary data of a kind that is not known/],
])('a package of the kind %s %j is refused by name', async (contentType, body, message) => {
  serve({ kind: 'bytes', body: Buffer.from(body, 'latin1'), contentType });
  expect((await refusal(fetchPackage(), 'dockerfileissue')).message).toMatch(message);
});

test('an empty package, and one that only looks like an archive, are refused', async () => {
  serve({ kind: 'bytes', body: Buffer.alloc(0), contentType: null });
  expect((await refusal(fetchPackage(), 'dockerfileissue')).message).toBe('"Dockerfile" is empty.');
  await using other = await createWorkplace();
  serve({ kind: 'bytes', body: writeTarGz([]).subarray(0, 15), contentType: 'application/gzip' });
  const fetching = fetchInto(other, createSourceFetcher(), { build_package: address() });
  expect((await refusal(fetching, 'cannotextractbuildpack')).message).toContain('no tar.gz archive');
});

test('a build with neither package nor commit is refused', async () => {
  await refusal(fetchInto(place, createSourceFetcher(), {}), 'missingorinvalidargument');
});

test('an abort ends the download with its own reason, also while it waits to try again', async () => {
  for (const answer of [{ kind: 'hang' }, { ...good, hangAfter: 5 }] as const) {
    const abort = new AbortController();
    serve(answer);
    const asked = server.requested('/capability/package');
    const fetching = fetchPackage({}, address(), abort.signal);
    void asked.then(() => abort.abort(new Error('cancelled')));
    await expect(fetching).rejects.toThrow('cancelled');
  }
  const abort = new AbortController();
  serve({ kind: 'status', status: 503 });
  const fetchSource = createSourceFetcher({
    wait: (_ms, signal) => {
      abort.abort(new Error('cancelled in waiting'));
      return waitLess(0, signal);
    },
  });
  const fetching = fetchInto(place, fetchSource, { build_package: address() }, abort.signal);
  await expect(fetching).rejects.toThrow('cancelled in waiting');
});

test('the package itself does not stay beside what it held', async () => {
  const body = writeTarGz([{ name: 'Dockerfile', content: 'FROM scratch' }]);
  serve({ kind: 'bytes', body, contentType: 'application/gzip' });
  const { source } = await fetchPackage();
  expect(source.contextDirectory).toBe(join(place.directory, 'context'));
  expect(await readdir(place.directory)).toEqual(['context']);
});

test('a disk that refuses the package is the worker’s failure', async () => {
  serve(good);
  await mkdir(join(place.directory, 'package'));
  expect((await refusal(fetchPackage(), 'internalerror')).message).toBe(
    'The worker could not keep the source on its disk (EISDIR).',
  );
});
