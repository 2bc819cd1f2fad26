import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { importBaseImage } from './base-image.ts';
import type { LabEngine } from './engine.ts';
import { folderPrefix } from './orphans.ts';

const execFileAsync = promisify(execFile);

const ROOT = resolve(import.meta.dirname, '..');
const HOME = 'opt/quay-builder';
/** What the worker's bundle leaves in node_modules. */
const PACKAGES = ['dockerode'];

/** Makes an image of the worker that `make build` left, without anything of a network: busybox, Node, its libraries, the package. */
export async function makeWorkerImage(engine: LabEngine, reference: string): Promise<void> {
  const context = await mkdtemp(`${folderPrefix()}worker-image-`);
  try {
    const home = join(context, HOME);
    for (const name of ['bin', 'dist', 'package.json', 'node_modules/node'])
      await cp(join(ROOT, name), join(home, name), { recursive: true });
    for (const folder of await packageFolders()) {
      await cp(folder, join(home, folder.slice(ROOT.length)), {
        recursive: true,
        filter: (source) => basename(source) !== 'node_modules',
      });
    }
    for (const library of await librariesOf(join(ROOT, 'node_modules/node/bin/node'))) {
      await cp(library, join(context, library), { dereference: true });
    }
    await importBaseImage(engine, `${reference}-base`);
    await writeFile(
      join(context, 'Dockerfile'),
      `FROM ${reference}-base\nCOPY . /\nENTRYPOINT ["/${HOME}/bin/quay-builder"]\nCMD []\n`,
    );
    await engine.docker(['build', '--quiet', '--tag', reference, context], { env: { DOCKER_BUILDKIT: '0' } });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** The folders of these packages and of all that they need, where they are installed. */
async function packageFolders(): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const add = async (name: string, from: string): Promise<void> => {
    // As Node looks for it: in each node_modules upwards.
    const candidates = createRequire(join(from, 'package.json')).resolve.paths(`${name}/package.json`) ?? [];
    for (const folder of candidates.map((each) => join(each, name))) {
      const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => null);
      if (text === null) continue;
      if (found.has(folder)) return;
      found.add(folder);
      const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> };
      for (const each of Object.keys(dependencies)) await add(each, folder);
      return;
    }
    throw new Error(`${name}, which ${from} needs, is not installed`);
  };
  for (const name of PACKAGES) await add(name, ROOT);
  return found;
}

/** The files that a program is linked with, by the dynamic linker's own word. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await execFileAsync('ldd', [program]);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap((match) => match[1] ?? []);
}
