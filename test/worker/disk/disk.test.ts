import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { folderPrefix } from '../../../lab/orphans.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { createEngineStorage } from '../../../src/worker/engine/index.ts';
import { recordCall } from '../engine/support.ts';
import { buildImage, engineOf, IMAGE_BYTES, namesOn, openDisk } from './support.ts';

/** What a worker keeps on a real engine, and what it removes. */

const SMALL = 'test/base:1';
let lab: LabEngine;
let registry: LabRegistry;
let directory: string;
/** In the registry: two bases, and what somebody else has on the engine too. */
let first: string;
let second: string;
let foreign: string;

beforeAll(async () => {
  [lab, registry] = await Promise.all([startEngine(), startRegistry()]);
  await importBaseImage(lab, SMALL);
  [first, second, foreign] = ['first', 'second', 'foreign'].map(
    (name) => `${registry.host}/team/${name}:1`,
  ) as [string, string, string];
  for (const name of [first, second, foreign]) {
    await buildImage(engineOf(lab), SMALL, name);
    await lab.docker(['push', '--quiet', name]);
    await lab.docker(['rmi', name]);
  }
});
afterAll(() => Promise.all([lab.stop(), registry.stop()]));
beforeEach(async () => {
  directory = await mkdtemp(`${folderPrefix()}disk-`);
});
afterEach(async () => {
  await rm(directory, { recursive: true });
  const names = (await lab.docker(['images', '-q', '--no-trunc'])).split('\n');
  const base = (await lab.docker(['inspect', '--format', '{{.Id}}', SMALL])).trim();
  for (const id of new Set(names)) if (id !== '' && id !== base) await lab.docker(['rmi', '--force', id]);
});

/** A build that only pulls, from its begin to its end. */
async function pullIn(
  kept: ReturnType<typeof openDisk>,
  build: string,
  ...references: string[]
): Promise<void> {
  const use = kept.disk.begin(build);
  for (const reference of references) await use.engine.pull(reference, null, recordCall());
  await use.end();
  await kept.disk.sweep();
}

describe('on an engine that others use', () => {
  beforeEach(async () => {
    await lab.docker(['pull', '--quiet', foreign]);
  });

  it('what was not used for longest goes first, and what others brought stays', async () => {
    const kept = openDisk(lab, directory, { bytes: 2.5 * IMAGE_BYTES });
    await pullIn(kept, 'one', first);
    await pullIn(kept, 'two', second, foreign);
    expect(await namesOn(lab)).toEqual([first, foreign, second, SMALL].sort());
    await pullIn(kept, 'three', first);

    await openDisk(lab, directory, { bytes: 1.5 * IMAGE_BYTES }).disk.sweep();
    expect(await namesOn(lab)).toEqual([first, foreign, SMALL].sort());

    await openDisk(lab, directory, { bytes: 1 }).disk.sweep();
    expect(await namesOn(lab)).toEqual([foreign, SMALL].sort());
  });

  it('what a running build uses stays until its end, also for the builds of other slots', async () => {
    const kept = openDisk(lab, directory, { bytes: 1 });
    const use = kept.disk.begin('long');
    await use.engine.pull(first, null, recordCall());
    await pullIn(kept, 'short', second);
    expect(await namesOn(lab)).toEqual([first, foreign, SMALL].sort());
    expect(kept.log()).toContain('the disk budget cannot be kept');

    await use.end();
    await kept.disk.sweep();
    expect(await namesOn(lab)).toEqual([foreign, SMALL].sort());
  });

  it("a name of somebody else's stays, on whichever image it is", async () => {
    const kept = openDisk(lab, directory, 'none');
    const held = `${registry.host}/others/held:1`;
    await lab.docker(['tag', SMALL, held]);
    await pullIn(kept, 'one', first, second);
    const use = kept.disk.begin('two');
    // A name that was there is moved by a build, and somebody gives a name to what a build brought.
    await buildImage(use.engine, SMALL, held);
    await lab.docker(['tag', second, 'others/alias:1']);
    await use.end();
    await kept.disk.sweep();

    await openDisk(lab, directory, { bytes: 1 }).disk.sweep();
    expect(await namesOn(lab)).toEqual([foreign, held, SMALL, second, 'others/alias:1'].sort());
  });

  it('an image that somebody pulled by its digest stays, though a build gives it a name', async () => {
    const [digest = ''] = JSON.parse(
      await lab.docker(['inspect', '--format', '{{json .RepoDigests}}', foreign]),
    ) as string[];
    await lab.docker(['rmi', foreign]);
    await lab.docker(['pull', '--quiet', digest]);
    const kept = openDisk(lab, directory, { bytes: 1 });
    await pullIn(kept, 'one', foreign);
    expect(await lab.docker(['inspect', '--format', '{{.Id}}', digest])).toMatch(/^sha256:/);
  });

  it('an image that a container is made of stays', async () => {
    const kept = openDisk(lab, directory, { bytes: 1 });
    const use = kept.disk.begin('one');
    await use.engine.pull(first, null, recordCall());
    const container = (await lab.docker(['create', first, 'true'])).trim();
    await use.end();
    await kept.disk.sweep();
    expect(await namesOn(lab)).toContain(first);
    await lab.docker(['rm', container]);
  });

  it('what a later build replaced goes before what it made', async () => {
    const name = `${registry.host}/team/built:latest`;
    const kept = openDisk(lab, directory, { bytes: 10 * IMAGE_BYTES });
    for (const build of ['one', 'two']) {
      const use = kept.disk.begin(build);
      await buildImage(use.engine, SMALL, name);
      await use.engine.push(`${registry.host}/team/built`, 'latest', null, recordCall());
      await use.end();
    }
    await kept.disk.sweep();
    expect(await namesOn(lab)).toEqual([`${registry.host}/team/built:<none>`, name, foreign, SMALL].sort());
    await openDisk(lab, directory, { bytes: 1.5 * IMAGE_BYTES }).disk.sweep();
    expect(await namesOn(lab)).toEqual([name, foreign, SMALL].sort());
  });

  it('what was there before the record was lost stays, and the log says so', async () => {
    const kept = openDisk(lab, directory, 'none');
    await pullIn(kept, 'one', first);
    await writeFile(join(directory, 'engine.json'), '{"half of it');
    const next = openDisk(lab, directory, { bytes: 1 });
    await next.disk.sweep();
    expect(await namesOn(lab)).toContain(first);
    expect(next.log()).toContain('what this worker brought to its engine is forgotten');
  });

  it('what somebody brought back after it was removed is theirs', async () => {
    const kept = openDisk(lab, directory, 'none');
    await pullIn(kept, 'one', first);
    await lab.docker(['rmi', first]);
    await kept.disk.sweep();
    await lab.docker(['pull', '--quiet', first]);
    await openDisk(lab, directory, { bytes: 1 }).disk.sweep();
    expect(await namesOn(lab)).toContain(first);
  });

  it("BuildKit's cache is left alone, and the record is for the worker's eyes only", async () => {
    const cached = async (): Promise<number> =>
      (await createEngineStorage({ dockerHost: lab.dockerHost }).buildCache(recordCall().signal)).length;
    const kept = openDisk(lab, directory, { bytes: 1 });
    const use = kept.disk.begin('one');
    await buildImage(use.engine, SMALL, 'team/cached:1');
    await lab.docker(['rmi', 'team/cached:1']);
    const before = await cached();
    expect(before).toBeGreaterThan(0);
    await use.end();
    await kept.disk.sweep();
    expect(await cached()).toBe(before);
    expect(JSON.parse(await readFile(join(directory, 'engine.json'), 'utf8'))).toHaveProperty('images');
  });
});

describe("on an engine of the worker's own", () => {
  it('images and cache go in the order of their use, whoever brought them', async () => {
    const storage = createEngineStorage({ dockerHost: lab.dockerHost });
    await lab.docker(['builder', 'prune', '--force']);
    await lab.docker(['pull', '--quiet', foreign]);
    const kept = openDisk(lab, directory, 'none', { engineIsOurs: true });
    await pullIn(kept, 'one', first);
    const use = kept.disk.begin('two');
    await use.engine.pull(second, null, recordCall());
    await buildImage(use.engine, second, `${registry.host}/team/built:latest`);
    await use.end();
    await kept.disk.sweep();

    const room = openDisk(lab, directory, { bytes: 4 * IMAGE_BYTES + 3_000_000 }, { engineIsOurs: true });
    await room.disk.sweep();
    // Beside four images of that size, the context that was sent counts; nobody asked for the foreign one.
    expect(await namesOn(lab)).toEqual([`${registry.host}/team/built:latest`, first, second, SMALL].sort());

    const none = openDisk(lab, directory, { bytes: 1 }, { engineIsOurs: true });
    const running = none.disk.begin('three');
    await running.engine.pull(first, null, recordCall());
    await none.disk.sweep();
    // Its base frees nothing as long as it stays.
    expect(await namesOn(lab)).toEqual([first, SMALL].sort());
    expect(await storage.buildCache(recordCall().signal)).toEqual([]);
    expect(none.log()).toContain('the disk budget cannot be kept');
    await running.end();
    await none.disk.sweep();
    expect(await namesOn(lab)).toEqual([]);
    await importBaseImage(lab, SMALL);
  });
});
