import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliError } from '../../../src/cli/failure.ts';
import { readRegistryAuth } from '../../../src/cli/submit/registry-auth.ts';
import { readSecrets } from '../../../src/cli/submit/secrets.ts';
import { readSshKeys } from '../../../src/cli/submit/ssh-keys.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-secrets-'));
  await writeFile(join(folder, 'text'), 'one\ntwo\n');
  await writeFile(join(folder, 'bytes'), Buffer.of(0xff, 0xfe, 0x00));
  await writeFile(join(folder, 'large'), 'x'.repeat(131_073));
});
afterAll(() => rm(folder, { recursive: true }));

it('reads secrets from files, byte for byte, and from the environment', async () => {
  const read = await readSecrets(
    [`id=a,src=${folder}/text`, `source=${folder}/text,id=b`, 'id=c,env=C_VALUE', 'id=D'],
    { C_VALUE: 'of c', D: '' },
  );
  expect(read).toEqual({ a: 'one\ntwo\n', b: 'one\ntwo\n', c: 'of c', D: '' });
});

it.each([
  ['id=a,src=FOLDER/bytes', /bytes is no text in UTF-8/],
  ['id=a,src=FOLDER/large', /large is too large for a secret/],
  ['id=a,src=FOLDER/missing', /no such file/],
  ['id=a,env=NOT_SET', /variable NOT_SET, of the secret a, is not set/],
  ['id=a,src=x,env=y', /has both src= and env=/],
  ['src=x', /has no id/],
  ['id=a,VALUE-OF-IT', /^A --secret has a part that is none of id=, src= and env=\.$/],
])('refuses %s, and repeats no value', async (option, words) => {
  const error: unknown = await readSecrets([option.replace('FOLDER', folder)], {}).catch(
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(Error);
  expect(error instanceof Error ? error.message : '').toMatch(words);
  expect(error instanceof CliError ? error.message + error.help : '').not.toContain('VALUE-OF-IT');
});

it('reads ssh keys from files, the one without an id as default', async () => {
  expect(await readSshKeys([`${folder}/text`, `git=${folder}/text`])).toEqual({
    default: 'one\ntwo\n',
    git: 'one\ntwo\n',
  });
});

it.each(['default', '=FILE', 'git=', ''])('refuses --ssh %j, which names no file', async (option) => {
  await expect(readSshKeys([option])).rejects.toThrow('An --ssh names no file of a key.');
});

it('reads who a build is at registries, with passwords of files and of the environment', async () => {
  const read = await readRegistryAuth(
    [`host=a.example:5000,user=me,src=${folder}/text`, 'env=WORD,user=you,host=b.example'],
    { WORD: 'pass=word' },
  );
  expect(read).toEqual({
    'a.example:5000': { username: 'me', password: 'one\ntwo' },
    'b.example': { username: 'you', password: 'pass=word' },
  });
});

it.each([
  ['host=a,user=b,VALUE-OF-IT', /^A --registry-auth is not understood\.$/],
  ['host=a,user=b,password=VALUE-OF-IT', /^A --registry-auth is not understood\.$/],
  ['host=a,src=FOLDER/text,env=x', /^A --registry-auth is not understood\.$/],
  ['host=a,user=b,env=NOT_SET', /^The environment variable NOT_SET, of the registry a, holds no password\.$/],
  ['host=a,user=b,src=FOLDER/missing', /no such file/],
  ['host=https://a/v1/,user=b,src=FOLDER/text', /^--registry-auth: https:\/\/a\/v1\/ is no registry\.$/],
  ['host=a,user=b:VALUE-OF-IT,src=FOLDER/text', /colon/],
])('refuses --registry-auth %s, and repeats no value', async (option, words) => {
  const error: unknown = await readRegistryAuth([option.replace('FOLDER', folder)], {}).catch(
    (caught: unknown) => caught,
  );
  expect(error instanceof Error ? error.message : '').toMatch(words);
  expect(error instanceof CliError ? error.message + error.help : '').not.toContain('VALUE-OF-IT');
});

it('refuses a registry that is named twice', async () => {
  const option = `host=a.example,user=b,src=${join(folder, 'text')}`;
  await expect(readRegistryAuth([option, option], {})).rejects.toThrow('names the registry a.example twice');
});
