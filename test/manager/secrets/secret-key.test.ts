import { chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSecretKeys } from '../../../src/manager/secrets/secret-key.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'secret-key-'));
  path = join(directory, 'secret.key');
});
afterEach(() => rm(directory, { recursive: true }));

/** Does something as a user, and its group, who is not root. */
async function as<T>(id: number, what: () => Promise<T>): Promise<T> {
  process.setegid?.(id);
  process.seteuid?.(id);
  try {
    return await what();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

describe('the key file', () => {
  it('is created once, for its owner alone', async () => {
    const first = await loadSecretKeys(path, { create: true });
    expect(first.created).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const second = await loadSecretKeys(path, { create: true });
    expect(second).toEqual({ keys: first.keys, created: false });
  });

  it('is the same for processes that create it at once', async () => {
    const loaded = await Promise.all(Array.from({ length: 8 }, () => loadSecretKeys(path, { create: true })));
    expect(new Set(loaded.map(({ keys }) => Buffer.from(keys[0] ?? []).toString('hex'))).size).toBe(1);
    expect(loaded.filter(({ created }) => created)).toHaveLength(1);
  });

  it('holds keys in base64 or hexadecimal, the one in use first', async () => {
    const hex = '0123456789abcdef'.repeat(4);
    const base64 = Buffer.alloc(32, 7).toString('base64');
    await writeFile(path, `${hex}\n\n${base64}\n`, { mode: 0o600 });
    const { keys } = await loadSecretKeys(path, { create: false });
    expect(keys.map((key) => Buffer.from(key).toString('hex'))).toEqual([hex, '07'.repeat(32)]);
  });

  it('is refused when others may read it, saying how to mend that', async () => {
    await loadSecretKeys(path, { create: true });
    await chmod(path, 0o640);
    await expect(loadSecretKeys(path, { create: true })).rejects.toThrow(/chmod 600/);
  });

  it('may be the file of root that its group reads, for who is not root', async () => {
    await writeFile(path, `${'0123456789abcdef'.repeat(4)}\n`);
    await chmod(directory, 0o755);
    const somebody = 7_654;
    await chown(path, 0, somebody);
    await chmod(path, 0o440);
    await expect(as(somebody, () => loadSecretKeys(path, { create: false }))).resolves.toMatchObject({
      created: false,
    });
    await chmod(path, 0o444);
    await expect(as(somebody, () => loadSecretKeys(path, { create: false }))).rejects.toThrow(/chmod 640/);
    await chmod(path, 0o440);
    await expect(loadSecretKeys(path, { create: false })).rejects.toThrow(/chmod 600/);
  });

  it('is refused when it is missing, empty or not keys, without showing what is in it', async () => {
    await expect(loadSecretKeys(path, { create: false })).rejects.toThrow(/openssl rand -base64 32/);
    await writeFile(path, '\n', { mode: 0o600 });
    await expect(loadSecretKeys(path, { create: true })).rejects.toThrow(/1 to 16 keys/);
    await writeFile(path, 'hunter2', { mode: 0o600 });
    const refused = loadSecretKeys(path, { create: true });
    await expect(refused).rejects.toThrow(/line 1: must be 32 random bytes/);
    await expect(refused).rejects.not.toThrow(/hunter2/);
    expect(await readFile(path, 'utf8')).toBe('hunter2');
  });
});
