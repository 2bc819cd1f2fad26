import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readExecutorsFile } from '../../../src/manager/executors/executors-file.ts';

let path: string;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'executors-file-'));
  path = join(directory, 'executors.json');
});
afterAll(() => rm(directory, { recursive: true }));

async function read(content: unknown): ReturnType<typeof readExecutorsFile> {
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return readExecutorsFile(path);
}

const local = { name: 'local', type: 'process', capacity: 2 };

describe('a file of executors', () => {
  it('says little where the defaults will do', async () => {
    expect(
      await read([local, { name: 'c', type: 'container', capacity: 1, image: 'worker:1' }]),
    ).toMatchObject([
      { name: 'local', namespaces: null, setup_seconds: 120, lifetime_seconds: 7200, environment: {} },
      { name: 'c', engine: 'unix:///var/run/docker.sock', socket: '/var/run/docker.sock', network: null },
    ]);
  });

  it.each([
    ['no JSON', '[{ "name": secret-word', 'it is not JSON'],
    ['no executor', [], 'executors.json: Too small'],
    [
      'a namespace that no build can have',
      [{ ...local, namespaces: ['Secret-Word'] }],
      '0.namespaces.0: must be a namespace',
    ],
    ['an unknown type', [{ ...local, type: 'cloud' }], '0.type'],
    ['an unknown field', [{ ...local, imge: 'secret-word' }], '0: '],
    ['a container without an image', [{ ...local, type: 'container' }], '0.image'],
    ['a name that is none', [{ ...local, name: '../secret-word' }], '0.name'],
    ['a name twice', [local, local], 'local is there twice'],
    ['no room', [{ ...local, capacity: 0 }], '0.capacity'],
    ['an extension that nobody has', [{ ...local, extensions: ['cancle'] }], '0.extensions.0'],
    ['more time than the contract gives', [{ ...local, setup_seconds: 501 }], '0.setup_seconds'],
    [
      'a token of its own',
      [{ ...local, environment: { TOKEN: 'secret-word' } }],
      'what the manager itself tells',
    ],
    ['a server with a password', [{ ...local, server: 'ws://user:secret-word@host' }], '0.server'],
  ])('is refused whole with %s, by name, without repeating what it says', async (_what, content, words) => {
    const error: unknown = await read(content).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: 'ExecutorsError',
      message: expect.stringContaining(words) as string,
    });
    expect(String(error)).toContain('EXECUTORS_FILE');
    expect(String(error)).not.toContain('secret-word');
  });

  it('that is not there is named', async () => {
    await expect(readExecutorsFile(join(directory, 'none.json'))).rejects.toThrow(
      /none\.json cannot be read: ENOENT/,
    );
  });
});
