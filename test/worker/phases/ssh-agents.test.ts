import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSshKey } from '../../../lab/ssh-server.ts';
import { BuildError } from '../../../src/contract/build-errors.ts';
import { startSshAgents } from '../../../src/worker/phases/ssh-agents.ts';
import { makeContext } from '../engine/support.ts';

const execFileAsync = promisify(execFile);
/** `SSH_AGENTC_REQUEST_IDENTITIES` */
const LIST = Buffer.of(0, 0, 0, 1, 11);
const ANSWER = 12;

let folder: Awaited<ReturnType<typeof makeContext>>;
let keys: Record<string, string>;
beforeAll(async () => {
  folder = await makeContext({});
  keys = {
    ed25519: await makeSshKey(join(folder.path, 'ed25519')),
    rsa: await makeSshKey(join(folder.path, 'rsa'), '-t', 'rsa', '-m', 'PEM'),
    locked: await makeSshKey(join(folder.path, 'locked'), '-N', 'words'),
  };
});
afterAll(() => folder[Symbol.asyncDispose]());

/** How many keys an agent says that it has. */
async function keysOf(agent: { connect(): NodeJS.ReadWriteStream } | undefined): Promise<number> {
  if (!agent) throw new Error('no agent');
  const connection = agent.connect();
  connection.write(LIST);
  for await (const piece of connection as AsyncIterable<Buffer>) {
    expect(piece[4]).toBe(ANSWER);
    return piece.readUInt32BE(5);
  }
  throw new Error('no answer');
}

/** How `ssh-add -l` ends at the agent in each of these folders: 0 where one answers, 2 where none does. */
function listings(folders: readonly string[]): Promise<number[]> {
  return Promise.all(
    folders.map(async (cwd) => {
      const options = { cwd, env: { PATH: process.env['PATH'], SSH_AUTH_SOCK: 'agent' } };
      try {
        await execFileAsync('ssh-add', ['-l'], options);
        return 0;
      } catch (error) {
        return (error as { code: number }).code;
      }
    }),
  );
}

async function contents(directory: string): Promise<string> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath, file.name), 'latin1'));
  return (await Promise.all(texts)).join('\0');
}

describe('agents', () => {
  it('hold each its key, in a long path too, leave none on disk, and are gone when they are let go', async () => {
    await using directory = await makeContext({ [`${'x'.repeat(100)}/keep`]: '' });
    const long = join(directory.path, 'x'.repeat(100));
    const signal = new AbortController().signal;
    const agents = await startSshAgents(
      { default: keys['ed25519'] ?? '', crlf: (keys['rsa'] ?? '').trim().replaceAll('\n', '\r\n') },
      { directory: long, signal },
    );
    const [first, second] = [agents.byId.get('default'), agents.byId.get('crlf')];
    expect([...agents.byId.keys()]).toEqual(['default', 'crlf']);
    expect([await keysOf(first), await keysOf(second)]).toEqual([1, 1]);
    expect(await contents(directory.path)).toBe('');
    const folders = (await readdir(long)).filter((name) => name !== 'keep').map((name) => join(long, name));
    expect(await listings(folders)).toEqual([0, 0]);
    await agents[Symbol.asyncDispose]();
    expect(await listings(folders)).toEqual([2, 2]);
  });

  it.each([
    ['locked', /^The ssh key mine is protected by a passphrase\./],
    ['cut', /^The ssh key mine cannot be read\./],
  ])('refuse a key that is %s, in words without it', async (which, words) => {
    await using directory = await makeContext({});
    const key = which === 'cut' ? (keys['ed25519'] ?? '').slice(0, 120) : (keys[which] ?? '');
    const started = startSshAgents(
      { good: keys['ed25519'] ?? '', mine: key },
      { directory: directory.path, signal: new AbortController().signal },
    );
    const error: unknown = await started.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BuildError);
    expect(error).toMatchObject({ code: 'builderror', message: expect.stringMatching(words) as string });
    expect(String(error)).not.toContain(key.split('\n')[1]);
  });
});
