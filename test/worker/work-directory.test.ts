import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clearLeftovers } from '../../src/worker/builder.ts';
import { createForsakenTries } from '../../src/worker/link/enlisting.ts';
import { openWorkDirectory } from '../../src/worker/work-directory.ts';
import { calmEngine, fastClock } from './harness.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quay-builder-work-'));
});
afterEach(() => rm(root, { recursive: true }));

const logger = pino({ level: 'silent' });
const forsaken = createForsakenTries();

describe('the work directory', () => {
  it('gives each build an empty folder that only its owner may read, and removes it', async () => {
    const work = await openWorkDirectory(root, 'a');
    const content = await work.create('build-1');
    expect(await readdir(content)).toEqual([]);
    for (const path of [root, join(root, 'a'), join(root, 'a', 'build-1'), content]) {
      expect((await stat(path)).mode & 0o777).toBe(0o700);
    }
    await mkdir(join(content, 'closed', 'inner'), { recursive: true });
    await writeFile(join(content, 'closed', 'inner', 'file'), '');
    await chmod(join(content, 'closed', 'inner'), 0o500);
    await chmod(join(content, 'closed'), 0o500);
    await work.remove('build-1');
    expect(await readdir(join(root, 'a'))).toEqual(['key']);
  });

  it('keeps its key', async () => {
    const { key } = await openWorkDirectory(root, 'a');
    expect((await openWorkDirectory(root, 'a')).key.equals(key)).toBe(true);
    expect((await openWorkDirectory(root, 'b')).key.equals(key)).toBe(false);
    expect((await stat(join(root, 'a', 'key'))).mode & 0o777).toBe(0o600);
  });

  it('removes what a killed worker left, on disk and on the engine, and nothing of one that lives', async () => {
    const work = await openWorkDirectory(root, 'a');
    await work.create('alive');
    const process = spawn('sleep', ['60']);
    await work.create('killed');
    const owner = join(root, 'a', 'killed', 'owner');
    const started = (await readFile(`/proc/${process.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[19];
    await writeFile(owner, `${process.pid} ${started}`);
    // As it is while it is made: nothing in it yet.
    const draft = `half-made.${process.pid}-${started}`;
    await mkdir(join(root, 'a', draft));
    expect(await work.leftovers()).toEqual([]);
    process.kill('SIGKILL');
    await once(process, 'exit');
    expect((await work.leftovers()).sort()).toEqual([draft, 'killed']);

    await work.create('unowned');
    await rm(join(root, 'a', 'unowned', 'owner'));
    const untagged: string[] = [];
    const engine = calmEngine({
      untag: (reference) => {
        untagged.push(reference);
        return Promise.resolve();
      },
    });
    await clearLeftovers({ engine, workDirectory: work, forsaken, clock: fastClock, logger });
    expect((await readdir(join(root, 'a'))).sort()).toEqual(['alive', 'key']);
    expect(untagged.sort()).toEqual([
      `quay-builder-${draft}:build`,
      'quay-builder-killed:build',
      'quay-builder-unowned:build',
    ]);
  });

  it('keeps what it could not remove from the engine for the next start', async () => {
    const work = await openWorkDirectory(root, 'a');
    await work.create('killed');
    await rm(join(root, 'a', 'killed', 'owner'));
    const engine = calmEngine({ untag: () => Promise.reject(new Error('the engine is away')) });
    await clearLeftovers({ engine, workDirectory: work, forsaken, clock: fastClock, logger });
    expect(await work.leftovers()).toEqual(['killed']);
  });

  it('waits for no engine that does not answer, and tries again at the next start', async () => {
    const work = await openWorkDirectory(root, 'a');
    await work.create('killed');
    await rm(join(root, 'a', 'killed', 'owner'));
    const engine = calmEngine({ untag: () => new Promise(() => undefined) });
    await clearLeftovers({ engine, workDirectory: work, forsaken, clock: fastClock, logger });
    expect(await work.leftovers()).toEqual(['killed']);
  });

  it('refuses a folder that is a link to somewhere else', async () => {
    await mkdir(join(root, 'elsewhere'));
    await symlink(join(root, 'elsewhere'), join(root, 'work'));
    await expect(openWorkDirectory(join(root, 'work'), 'a')).rejects.toThrow(/must be a folder/);
  });
});
