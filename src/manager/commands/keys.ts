import { join, resolve } from 'node:path';
import pino from 'pino';
import { proxiesOf } from '../../contract/network/settings.ts';
import { reasonOf } from '../../contract/reason.ts';
import { DatabaseAway, openBlobFolder, openStore, StoreUnusable, type Store } from '../../store/index.ts';
import { commandActor } from './actor.ts';
import type { ManagerSettings } from '../settings.ts';
import { exitCodes } from '../exit-codes.ts';
import {
  CLOCK_SKEW_SECONDS,
  OWN_TOKEN_SECONDS,
  REGISTRY_ASKED_WITHIN_MS,
  RETIRE_AFTER_SECONDS,
} from '../limits.ts';
import { writeCertificates } from '../registry/certificates-file.ts';
import { openRegistryClient } from '../registry/client/open-registry-client.ts';
import { openSigningKeys, type SigningKey, type SigningKeys } from '../registry/signing-keys.ts';
import { signToken } from '../registry/token-server.ts';
import { demandOwnKey } from '../secrets/own-key.ts';
import { reseal } from '../secrets/reseal.ts';
import { createSecretBox, SealError, type SecretBox } from '../secrets/secret-box.ts';
import { loadSecretKeys, SecretKeyError, secretKeyPath } from '../secrets/secret-key.ts';

/** `quay-build-manager keys`: changes the managers' own keys while they run. Each command answers with the exit code. */

/** What was asked for cannot be done now. The message says why, and what to do. */
class KeysError extends Error {
  override readonly name = 'KeysError';
}

interface Tools {
  readonly store: Store;
  readonly box: SecretBox;
  readonly signingKeys: SigningKeys;
  readonly dataDirectory: string;
  readonly settings: ManagerSettings;
}

type Print = (text: string) => void;

/** Shows the keys that sign registry tokens, and which keys have sealed what is kept. */
export function listKeys(settings: ManagerSettings, print: Print): Promise<number> {
  return withKeys('list', settings, async ({ store, box, signingKeys }) => {
    print('keys that sign registry tokens\n');
    for (const { name, state, createdAt, activeSince } of await signingKeys.list()) {
      const since = activeSince === null ? '' : `, used since ${activeSince.toISOString()}`;
      print(`  ${name}  ${state}, made ${createdAt.toISOString()}${since}\n`);
    }
    print('keys that seal secrets\n');
    const current = hex(box.fingerprint());
    const counts = new Map((await store.sealed.counts()).map((each) => [hex(each.fingerprint), each.count]));
    for (const name of new Set([current, ...counts.keys()])) {
      print(`  ${name}  ${name === current ? 'seals, ' : ''}has sealed ${counts.get(name) ?? 0} secrets\n`);
    }
  });
}

/** Makes another key known that will sign registry tokens, and says what is to be done before it does. */
export function prepareKey(settings: ManagerSettings, print: Print): Promise<number> {
  return withKeys('prepare', settings, async ({ store, signingKeys, dataDirectory }) => {
    const known = (await signingKeys.list()).find(({ state }) => state === 'made known');
    if (known) throw new KeysError(`${known.name} is made known already: activate it, or retire it first`);
    const name = await signingKeys.prepare();
    await store.audit.record({ actor: commandActor(), action: 'key.prepare', object: name });
    const path = await writeCertificates(dataDirectory, signingKeys);
    print(
      `${name} is made known in ${path}, and at /registry/certificates.pem; it does not sign yet.\n` +
        'Give that file to every registry as its rootcertbundle and restart it, one after the other; then run\n' +
        `  quay-build-manager keys activate ${name}\n`,
    );
  });
}

/** Has a key sign from now on, unless the registry refuses its tokens. */
export function activateKey(
  name: string,
  { force }: { readonly force?: boolean },
  settings: ManagerSettings,
  print: Print,
): Promise<number> {
  return withKeys('activate', settings, async ({ store, signingKeys }) => {
    const key = await demandKey(signingKeys, name, 'made known');
    if (force !== true) await demandTrusted(key, settings);
    if (!(await store.keys.activate(name, commandActor())))
      throw new KeysError(`${name} has changed meanwhile`);
    const minutes = Math.ceil(RETIRE_AFTER_SECONDS / 60);
    print(`${name} signs from now on. After ${minutes} minutes the keys before it can be retired.\n`);
  });
}

/** Removes a key whose tokens are over, and its certificate. */
export function retireKey(
  name: string,
  { force }: { readonly force?: boolean },
  settings: ManagerSettings,
  print: Print,
): Promise<number> {
  return withKeys('retire', settings, async ({ store, signingKeys, dataDirectory }) => {
    const keys = await signingKeys.list();
    const state = keys.find((each) => each.name === name)?.state;
    if (state === undefined) throw new KeysError(`there is no key ${name}; quay-build-manager keys list`);
    if (state === 'signs') throw new KeysError(`${name} signs: prepare and activate another first`);
    const since = keys.find((each) => each.state === 'signs')?.activeSince?.getTime() ?? 0;
    const waitSeconds = RETIRE_AFTER_SECONDS - (Date.now() - since) / 1000;
    if (state === 'has signed' && waitSeconds > 0 && force !== true) {
      throw new KeysError(
        `tokens of ${name} may be in use for ${Math.ceil(waitSeconds)} s more: wait, or say --force where it was stolen`,
      );
    }
    if (!(await store.keys.retire(name, commandActor())))
      throw new KeysError(`${name} has changed meanwhile`);
    const path = await writeCertificates(dataDirectory, signingKeys);
    print(
      `${name} is gone, and out of ${path}. Give that file to every registry and restart it: only then is the key trusted no more.\n`,
    );
  });
}

/** Seals everything with the first key of the key file. */
export function resealSecrets(settings: ManagerSettings, print: Print): Promise<number> {
  return withKeys('reseal', settings, async ({ store, box }) => {
    const count = await reseal(store.sealed, box);
    const key = hex(box.fingerprint());
    if (count > 0) {
      const detail = { count };
      await store.audit.record({ actor: commandActor(), action: 'key.reseal', object: key, detail });
    }
    print(
      `${count} secrets were sealed anew; everything is sealed with ${key}, and the keys below it can go.\n`,
    );
  });
}

async function demandKey(signingKeys: SigningKeys, name: string, wanted: string): Promise<SigningKey> {
  const state = (await signingKeys.list()).find((each) => each.name === name)?.state;
  const key = state === wanted ? await signingKeys.named(name) : null;
  if (key !== null) return key;
  throw new KeysError(
    state === undefined
      ? `there is no key ${name}; quay-build-manager keys list`
      : `${name} ${state} already`,
  );
}

/** The registry is asked itself: one that has not read the certificate would refuse every push. */
async function demandTrusted(key: SigningKey, settings: ManagerSettings): Promise<void> {
  const { REGISTRY: registry, REGISTRY_TOKEN_SERVICE: service } = settings;
  if (registry === null || service === null) {
    throw new KeysError(
      'REGISTRY and REGISTRY_TOKEN_SERVICE name no registry that takes tokens: set them, or say --force',
    );
  }
  await using registries = openRegistryClient({
    registry,
    registryUrl: settings.REGISTRY_URL,
    privateAddresses: settings.PRIVATE_ADDRESSES,
    proxies: proxiesOf(settings),
    insecure: settings.INSECURE_REGISTRIES,
    logger: pino({ level: 'silent' }),
    now: () => performance.now(),
  });
  const issuedAt = Math.floor(Date.now() / 1000) - CLOCK_SKEW_SECONDS;
  const expiresAt = issuedAt + CLOCK_SKEW_SECONDS + OWN_TOKEN_SECONDS;
  const token = await signToken(key, { access: [], service, subject: 'manager', issuedAt, expiresAt });
  const signal = AbortSignal.timeout(REGISTRY_ASKED_WITHIN_MS);
  const isTaken = await registries.client.takes(registry, token, signal).catch((error: unknown) => {
    throw new KeysError(
      `${registry} cannot be asked whether it trusts ${key.name} (${reasonOf(error)}): mend that, or say --force`,
    );
  });
  if (isTaken) return;
  throw new KeysError(
    `${registry} does not trust ${key.name} yet: give it what /registry/certificates.pem says as its rootcertbundle, and restart it`,
  );
}

async function withKeys(
  command: string,
  settings: ManagerSettings,
  work: (tools: Tools) => Promise<void>,
): Promise<number> {
  try {
    const dataDirectory = resolve(settings.DATA_DIR);
    const { keys } = await loadSecretKeys(secretKeyPath(settings), { create: false });
    const box = createSecretBox(keys);
    const store = await openStore({
      dataDirectory,
      blobs: await openBlobFolder(join(dataDirectory, 'blobs')),
      databaseUrl: settings.DATABASE_URL ?? undefined,
      log: pino({ level: 'silent' }),
    });
    try {
      await demandOwnKey(store.keys, box);
      const signingKeys = await openSigningKeys(store.keys, box, Date.now);
      await work({ store, box, signingKeys, dataDirectory, settings });
    } finally {
      await store.close();
    }
    return exitCodes.done;
  } catch (error) {
    if (!(isKnown(error) || (error instanceof Error && 'syscall' in error))) throw error;
    process.stderr.write(`quay-build-manager keys ${command} failed: ${reasonOf(error)}\n`);
    return exitCodes.cannotStart;
  }
}

function isKnown(error: unknown): boolean {
  return [KeysError, SealError, SecretKeyError, StoreUnusable, DatabaseAway].some(
    (kind) => error instanceof kind,
  );
}

function hex(fingerprint: Uint8Array): string {
  return Buffer.from(fingerprint).toString('hex');
}
