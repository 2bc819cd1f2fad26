import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { freePort } from '../../../lab/ports.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { pushTinyImage } from '../../../lab/tiny-image.ts';
import { loadConfiguration } from '../../../src/contract/configuration.ts';
import { managerConfiguration } from '../../../src/manager/config.ts';
import type { ManagerSettings } from '../../../src/manager/settings.ts';
import {
  activateKey,
  listKeys,
  prepareKey,
  resealSecrets,
  retireKey,
} from '../../../src/manager/commands/keys.ts';
import { writeCertificates } from '../../../src/manager/registry/certificates-file.ts';
import { credentialContext } from '../../../src/manager/registry/credentials.ts';
import { openSigningKeys, type SigningKeys } from '../../../src/manager/registry/signing-keys.ts';
import { createRegistryTokenServer, TOKEN_ISSUER } from '../../../src/manager/registry/token-server.ts';
import { demandOwnKey } from '../../../src/manager/secrets/own-key.ts';
import { createSecretBox, type RekeyableBox } from '../../../src/manager/secrets/secret-box.ts';
import { loadSecretKeys } from '../../../src/manager/secrets/secret-key.ts';
import { watchSecretKeys } from '../../../src/manager/secrets/watched-keys.ts';
import { secretsContext } from '../../../src/manager/submission/image-build.ts';
import { claimRequest, newBuild, openTestStore, type TestStore } from '../../store/support/store.ts';

const SERVICE = 'lab-registry';
const by = { name: 'alice', address: null };
let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

type Command = (settings: ManagerSettings, print: (text: string) => void) => Promise<number>;

/** What a manager has open on a database and a data folder of its own, and the commands beside it. */
interface Place extends AsyncDisposable {
  readonly store: TestStore;
  readonly box: RekeyableBox;
  readonly signingKeys: SigningKeys;
  readonly directory: string;
  readonly keyFile: string;
  readonly settings: ManagerSettings;
  /** Runs a command; answers with what it printed, and fails with what it printed as an error. */
  readonly run: (command: Command) => Promise<string>;
}

async function openPlace(registry = 'registry.example'): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'keys-'));
  const keyFile = join(directory, 'secret.key');
  const { keys } = await loadSecretKeys(keyFile, { create: true });
  const box = createSecretBox(keys);
  const store = await openTestStore(server);
  await demandOwnKey(store.keys, box);
  const environment = {
    DATA_DIR: directory,
    DATABASE_URL: store.url,
    REGISTRY: registry,
    REGISTRY_TOKEN_SERVICE: SERVICE,
  };
  const settings = loadConfiguration(managerConfiguration, { environment });
  const signingKeys = await openSigningKeys(store.keys, box, Date.now);
  await writeCertificates(directory, signingKeys);
  return {
    store,
    box,
    signingKeys,
    directory,
    keyFile,
    settings,
    run: async (command) => {
      let printed = '';
      const told = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
        printed += String(text);
        return true;
      });
      const code = await command(settings, (text) => (printed += text)).finally(() => told.mockRestore());
      if (code !== 0) throw new Error(printed);
      return printed;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

const certificatesOf = async ({ directory }: Place): Promise<number> =>
  (await readFile(join(directory, 'registry-token.pem'), 'utf8')).split('BEGIN CERTIFICATE').length - 1;

describe('the keys that sign registry tokens', () => {
  it('are changed while images are pushed: known first, then signing, and gone when their tokens are over', async () => {
    const port = await freePort();
    const host = `127.0.0.1:${port}`;
    await using place = await openPlace(host);
    const { store, signingKeys, directory, run } = place;
    const storage = join(directory, 'images');
    const start = (): Promise<LabRegistry> =>
      startRegistry(
        {
          kind: 'token',
          realm: 'http://127.0.0.1:1/registry/token',
          service: SERVICE,
          issuer: TOKEN_ISSUER,
          rootCertBundle: join(directory, 'registry-token.pem'),
        },
        { port, storage },
      );
    const tokens = createRegistryTokenServer({
      capabilities: store.capabilities,
      users: () => Promise.resolve(['repository:*:pull,push']),
      signingKeys,
      service: SERVICE,
      now: Date.now,
    });
    const bearer = async (): Promise<string> => {
      const credentials = { username: 'alice', password: 'x' };
      const scopes = ['repository:team/app:pull,push'];
      const answer = await tokens.answer({ service: SERVICE, scopes, credentials });
      return typeof answer === 'string' ? answer : `Bearer ${answer.token}`;
    };

    let registry = await start();
    await pushTinyImage(host, 'team/app', 'v1', await bearer());
    expect(await run(prepareKey)).toContain('registry-token-2 is made known');
    await expect(run(prepareKey)).rejects.toThrow('registry-token-2 is made known already');
    expect(await certificatesOf(place)).toBe(2);
    const activate =
      (name: string): Command =>
      (settings, print) =>
        activateKey(name, {}, settings, print);
    await expect(run(activate('registry-token-2'))).rejects.toThrow('does not trust registry-token-2 yet');
    await pushTinyImage(host, 'team/app', 'v2', await bearer());

    await registry.stop();
    await expect(run(activate('registry-token-2'))).rejects.toThrow('cannot be asked');
    registry = await start();
    const old = await bearer();
    await run(activate('registry-token-2'));
    await pushTinyImage(host, 'team/app', 'v3', await bearer());
    await pushTinyImage(host, 'team/app', 'v4', old);
    await expect(run(activate('registry-token-2'))).rejects.toThrow('registry-token-2 signs already');
    expect(await run(listKeys)).toMatch(/registry-token-2 {2}signs.*\n.*registry-token-1 {2}has signed/);

    const retire =
      (name: string, force: boolean): Command =>
      (settings, print) =>
        retireKey(name, { force }, settings, print);
    await expect(run(retire('registry-token-2', true))).rejects.toThrow('registry-token-2 signs');
    await expect(run(retire('registry-token-1', false))).rejects.toThrow('may be in use');
    await run(retire('registry-token-1', true));
    expect(await certificatesOf(place)).toBe(1);
    await registry.stop();
    registry = await start();
    await pushTinyImage(host, 'team/app', 'v5', await bearer());
    await expect(pushTinyImage(host, 'team/app', 'v6', old)).rejects.toThrow('401');
    await registry.stop();

    const { entries } = await store.audit.list({ action: 'key' }, { limit: 10 });
    expect(entries.map(({ action, object }) => `${action} ${object}`)).toEqual([
      'key.retire registry-token-1',
      'key.activate registry-token-2',
      'key.prepare registry-token-2',
    ]);
  });
});

describe('the key that seals secrets', () => {
  const newKey = (): string => randomBytes(32).toString('base64');

  it('is changed while builds wait: all is sealed anew, and the old key opens nothing any more', async () => {
    await using place = await openPlace();
    const { store, box, keyFile, run } = place;
    const build = newBuild();
    const secrets = box.seal(secretsContext(build.id), '{"private_key":"k"}');
    await store.builds.submit({ ...build, secrets });
    const credential = { namespace: 'team', registry: 'r.example', username: 'robot', setBy: by };
    const context = credentialContext('team', 'r.example');
    await store.credentials.set({ ...credential, password: box.seal(context, 'horse') }, 32);

    const old = (await readFile(keyFile, 'utf8')).trim();
    const key = newKey();
    await writeFile(keyFile, `${key}\n${old}\n`);
    // The mark, the signing key, the build's secrets and the password.
    expect(await run(resealSecrets)).toContain('4 secrets were sealed anew');
    expect(await run(resealSecrets)).toContain('0 secrets were sealed anew');
    expect(await run(listKeys)).toMatch(/seals, has sealed 4 secrets\n$/);

    await writeFile(keyFile, `${key}\n`);
    expect(await run(listKeys)).toContain('registry-token-1');
    const fresh = createSecretBox([Buffer.from(key, 'base64')]);
    const claim = await store.leases.claim(claimRequest({ extensions: ['registry-auth'] }));
    expect(fresh.open(secretsContext(build.id), claim?.secrets ?? new Uint8Array())).toContain('private_key');
    expect(fresh.open(context, claim?.credentials[0]?.password ?? new Uint8Array())).toBe('horse');
    await writeFile(keyFile, `${old}\n`);
    await expect(run(listKeys)).rejects.toThrow('is not the one of this database');
    const { entries } = await store.audit.list({ action: 'key.reseal' }, { limit: 10 });
    expect(entries).toMatchObject([{ detail: { count: 4 } }]);
  });

  it('stays in use where something does not open, and says which key that needs', async () => {
    await using place = await openPlace();
    const { store, keyFile, run } = place;
    const stranger = createSecretBox([randomBytes(32)]);
    const password = stranger.seal(credentialContext('team', 'r.example'), 'horse');
    await store.credentials.set(
      { namespace: 'team', registry: 'r.example', username: 'robot', password, setBy: by },
      32,
    );
    const old = await readFile(keyFile, 'utf8');
    await writeFile(keyFile, `${newKey()}\n${old}`);
    await expect(run(resealSecrets)).rejects.toThrow('which the key file does not hold');
  });

  it("is read by a running manager when its file changes, and another database's is not taken", async () => {
    await using place = await openPlace();
    const { store, box, keyFile } = place;
    const logged: string[] = [];
    const log = (_fields: object, message: string): void => void logged.push(message);
    const stop = watchSecretKeys({
      path: keyFile,
      box,
      demandOwn: (each) => demandOwnKey(store.keys, each),
      logger: { info: log, warn: log },
    });
    try {
      const old = await readFile(keyFile, 'utf8');
      const key = newKey();
      const before = Buffer.from(box.fingerprint());
      await writeFile(keyFile, `${newKey()}\n`);
      await expect
        .poll(() => logged, { timeout: 60_000 })
        .toContainEqual(expect.stringContaining('cannot be used'));
      expect(Buffer.from(box.fingerprint())).toEqual(before);
      await writeFile(keyFile, `${key}\n${old}`);
      const fresh = createSecretBox([Buffer.from(key, 'base64')]);
      await expect
        .poll(() => Buffer.from(box.fingerprint()), { timeout: 60_000 })
        .toEqual(Buffer.from(fresh.fingerprint()));
      expect(fresh.open('place', box.seal('place', 'new'))).toBe('new');
      const [mark] = await store.keys.list('sealed-mark');
      expect(box.open('sealed-mark', mark?.material ?? new Uint8Array())).toBe('sealed-mark');
    } finally {
      stop();
    }
  });
});
