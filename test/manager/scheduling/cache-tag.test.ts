import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { freePort } from '../../../lab/ports.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { pushTinyImage } from '../../../lab/tiny-image.ts';
import { noProxies } from '../../../src/contract/network/proxies.ts';
import { openRegistryClient } from '../../../src/manager/registry/client/open-registry-client.ts';
import type { Access } from '../../../src/manager/registry/client/registry-client.ts';
import { openSigningKeys } from '../../../src/manager/registry/signing-keys.ts';
import {
  createRegistryTokenServer,
  TOKEN_ISSUER,
  type RegistryTokenServer,
} from '../../../src/manager/registry/token-server.ts';
import { findCacheTag } from '../../../src/manager/scheduling/cache-tag.ts';
import type { Claim } from '../../../src/store/index.ts';
import { openTestHttp, type TestHttp } from '../support/http.ts';

/** Which image may prime the cache of a build: by asking the registry, within a second or not at all. */

const SERVICE = 'lab-registry';
const robot = { username: 'robot', password: 'correct-horse' };
const basic = `Basic ${Buffer.from(`${robot.username}:${robot.password}`).toString('base64')}`;

let directory: string;
let database: LabDatabaseServer;
let http: TestHttp;
let tokens: RegistryTokenServer;
let open: LabRegistry;
let closed: LabRegistry;
let minted: LabRegistry;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cache-tag-'));
  database = await startDatabaseServer();
  const rootCertBundle = join(directory, 'registry-token.pem');
  http = await openTestHttp(database, {
    withStore: async ({ keys, capabilities }, box) => {
      const signingKeys = await openSigningKeys(keys, box, Date.now);
      await writeFile(rootCertBundle, await signingKeys.certificates());
      const users = ({ password }: { password: string }): Promise<string[] | null> =>
        Promise.resolve(password === robot.password ? ['repository:*:pull,push'] : null);
      tokens = createRegistryTokenServer({
        capabilities,
        users,
        signingKeys,
        service: SERVICE,
        now: Date.now,
      });
      return { registryTokens: tokens };
    },
  });
  const origin = await http.app.listen({ host: '127.0.0.1', port: 0 });
  const htpasswd = join(directory, 'htpasswd');
  // bcrypt of correct-horse
  await writeFile(htpasswd, 'robot:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n');
  const realm = `${origin}/registry/token`;
  [open, closed, minted] = await Promise.all([
    startRegistry(),
    startRegistry({ kind: 'htpasswd', path: htpasswd }),
    startRegistry({ kind: 'token', realm, service: SERVICE, issuer: TOKEN_ISSUER, rootCertBundle }),
  ]);
});
afterAll(async () => {
  await Promise.all([open.stop(), closed.stop(), minted.stop()]);
  await http[Symbol.asyncDispose]();
  await database.stop();
  await rm(directory, { recursive: true });
});

/** A build that was claimed, the latest of as many earlier ones that completed with these tags. */
async function claimOf(
  registry: string,
  repository: string,
  tagNames: readonly string[],
  earlier: readonly (readonly string[])[] = [],
): Promise<Claim> {
  const claimNew = async (tags: readonly string[]): Promise<Claim> => {
    const [namespace = ''] = repository.split('/');
    const build = {
      id: randomUUID(),
      kind: 'image',
      spec: {},
      secrets: null,
      namespace,
      repository,
      registry,
    };
    const submittedBy = { name: 'alice', address: null };
    await http.store.builds.submit({ ...build, tagNames: tags, submittedBy: submittedBy.name });
    return http.claim();
  };
  for (const tags of earlier) {
    const { lease } = await claimNew(tags);
    await http.store.leases.finish(lease, { state: 'complete', outputs: {} });
  }
  return claimNew(tagNames);
}

/** Puts an image where the manager's tokens are taken, with one of the token server. */
async function pushMinted(repository: string, tag: string): Promise<void> {
  const query = new URLSearchParams({ service: SERVICE, scope: `repository:${repository}:pull,push` });
  const answer = await http.app.inject({
    url: `/registry/token?${query.toString()}`,
    headers: { authorization: basic },
  });
  const { token } = answer.json<{ token: string }>();
  await pushTinyImage(minted.host, repository, tag, `Bearer ${token}`);
}

interface Asking {
  readonly tagOf: (claim: Claim, access?: Access) => Promise<string>;
}

interface AskingOptions {
  readonly privateAddresses?: 'all' | readonly string[];
  readonly registry?: string | null;
  readonly registryUrl?: URL | null;
  readonly withinMs?: number;
}

async function asking(
  work: (asking: Asking) => Promise<void>,
  { privateAddresses = 'all', registry = null, registryUrl = null, withinMs = 30_000 }: AskingOptions = {},
): Promise<void> {
  const logger = { debug: () => undefined, warn: () => undefined };
  let clock = 0;
  await using registries = openRegistryClient({
    registry,
    registryUrl,
    privateAddresses,
    proxies: noProxies,
    insecure: [],
    logger,
    now: () => (clock += 1),
  });
  await work({
    tagOf: (claim, access = null) =>
      findCacheTag(claim, {
        builds: http.store.builds,
        registries: registries.client,
        accessOf: () => Promise.resolve(access),
        withinMs,
        logger,
      }),
  });
}

describe('the tag of an image that may prime the cache', () => {
  it('is one that is being built, in their order, then the newest that is still there', async () => {
    for (const tag of ['old', 'stable', 'v2']) await pushTinyImage(open.host, 'team/app', tag);
    const earlier = [['old'], ['stable'], ['gone']];
    await asking(async ({ tagOf }) => {
      expect(await tagOf(await claimOf(open.host, 'team/app', ['none', 'v2', 'old'], earlier))).toBe('v2');
      expect(await tagOf(await claimOf(open.host, 'team/app', ['none']))).toBe('stable');
    });
  });

  it('is one that the registry lists where no build of the repository is known', async () => {
    for (const tag of ['1.9', '1.10', 'alpha']) await pushTinyImage(open.host, 'listed/numbers', tag);
    for (const tag of ['latest', 'zeta']) await pushTinyImage(open.host, 'listed/latest', tag);
    await asking(async ({ tagOf }) => {
      expect(await tagOf(await claimOf(open.host, 'listed/latest', ['new']))).toBe('latest');
      expect(await tagOf(await claimOf(open.host, 'listed/numbers', ['new']))).toBe('alpha');
      expect(await tagOf(await claimOf(open.host, 'listed/nothing', ['new']))).toBe('');
    });
  });

  it('is found as the user that the build is there, and as nobody else', async () => {
    await pushTinyImage(closed.host, 'team/app', 'v1', basic);
    const claim = await claimOf(closed.host, 'team/app', ['v1']);
    await asking(async ({ tagOf }) => {
      expect(await tagOf(claim, { user: robot })).toBe('v1');
      expect(await tagOf(claim, { user: { ...robot, password: 'wrong' } })).toBe('');
      expect(await tagOf(claim)).toBe('');
    });
  });

  it("is found by a token of the manager's own, and by one of the registry's token server", async () => {
    await pushMinted('team/app', 'v1');
    const claim = await claimOf(minted.host, 'team/app', ['v1']);
    await asking(async ({ tagOf }) => {
      expect(await tagOf(claim, { token: await tokens.pullToken('team/app') })).toBe('v1');
      expect(await tagOf(claim, { token: await tokens.pullToken('team/other') })).toBe('');
      expect(await tagOf(claim, { user: robot })).toBe('v1');
      expect(await tagOf(claim)).toBe('');
    });
  });

  it('is none where the registry is at an address that may not be reached, unless it is our own', async () => {
    await pushTinyImage(open.host, 'team/reach', 'v1');
    const claim = await claimOf(open.host, 'team/reach', ['v1']);
    await asking(async ({ tagOf }) => expect(await tagOf(claim)).toBe(''), { privateAddresses: [] });
    const own = { privateAddresses: [], registry: open.host };
    await asking(async ({ tagOf }) => expect(await tagOf(claim)).toBe('v1'), own);
  });
});

describe('our own registry at another address than its name', () => {
  const named = 'registry.invalid:5000';

  it('is asked there, with a token and as a user, and others are asked at their names', async () => {
    await pushTinyImage(closed.host, 'team/elsewhere', 'v1', basic);
    await pushTinyImage(open.host, 'team/elsewhere', 'v2');
    const claim = await claimOf(named, 'team/elsewhere', ['v1']);
    const other = await claimOf(open.host, 'team/elsewhere', ['v2']);
    const own = { registry: named, registryUrl: new URL(`http://${closed.host}/`) };
    await asking(async ({ tagOf }) => {
      expect(await tagOf(claim, { user: robot })).toBe('v1');
      expect(await tagOf(other)).toBe('v2');
    }, own);
    await asking(async ({ tagOf }) => expect(await tagOf(claim, { user: robot })).toBe(''));
  });

  it("follows the challenge of one that speaks plain http to its token server, as the registry's user", async () => {
    await pushMinted('team/elsewhere', 'v1');
    const claim = await claimOf(named, 'team/elsewhere', ['v1']);
    const own = { registry: named, registryUrl: new URL(`http://${minted.host}`) };
    await asking(async ({ tagOf }) => {
      expect(await tagOf(claim, { token: await tokens.pullToken('team/elsewhere') })).toBe('v1');
      expect(await tagOf(claim, { user: robot })).toBe('v1');
    }, own);
  });
});

describe('a registry that does not answer', () => {
  const listening = async (server: Server): Promise<string> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('is not there: there is no tag', async () => {
    const claim = await claimOf(`127.0.0.1:${await freePort()}`, 'team/dead', ['v1']);
    await asking(async ({ tagOf }) => {
      expect(await tagOf(claim)).toBe('');
    });
  });

  it('hangs: there is no tag', async () => {
    const hanging = createServer();
    const claim = await claimOf(await listening(hanging), 'team/hanging', ['v1']);
    const asked = { withinMs: 300 };
    await asking(async ({ tagOf }) => expect(await tagOf(claim)).toBe(''), asked);
    hanging.close();
  });

  it('fails: there is no tag, it is left alone, and others are asked all the same', async () => {
    let requests = 0;
    const failing = createHttpServer((_request, response) => {
      requests += 1;
      response.writeHead(requests === 1 ? 200 : 503).end();
    });
    const claim = await claimOf(await listening(failing), 'team/failing', ['v1']);
    await pushTinyImage(open.host, 'team/failing', 'v1');
    const other = await claimOf(open.host, 'team/failing', ['v1']);
    await asking(async ({ tagOf }) => {
      expect(await tagOf(claim)).toBe('');
      expect(await tagOf(other)).toBe('v1');
      expect(await tagOf(claim)).toBe('');
    });
    expect(requests).toBe(2);
    failing.close();
  });
});
