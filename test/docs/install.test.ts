import { access, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importBaseImage } from '../../lab/base-image.ts';
import { startEngine } from '../../lab/engine.ts';
import { folderPrefix } from '../../lab/orphans.ts';
import { freePort } from '../../lab/ports.ts';
import { startProcess } from '../../lab/process.ts';
import { startRegistry } from '../../lab/registry.ts';
import { managerConfiguration } from '../../src/manager/config.ts';
import { workerConfiguration } from '../../src/worker/config.ts';
import { triedCommands } from './commands.ts';

/** What docs/install.md and its neighbours promise of ways to a running farm. */

const ROOT = resolve(import.meta.dirname, '../..');
const PAGES = ['install.md', 'upgrading.md', 'kubernetes.md'];
const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

describe.each(PAGES)('docs/%s', (page) => {
  it('names settings, targets of make and files that there are', async () => {
    const text = await read(`docs/${page}`);
    const settings = [managerConfiguration, workerConfiguration].flatMap(({ settings: all }) =>
      Object.entries(all).flatMap(([name, { file }]) => [name, ...(file ? [`${name}_FILE`] : [])]),
    );
    const named = Array.from(text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)[`=]/g), ([, name = '']) => name);
    const others = /^(?:QUAY_BUILD_|SUBSCRIPTION_KEY)/;
    expect(named.filter((name) => !others.test(name) && !settings.includes(name))).toEqual([]);
    const makefile = await read('Makefile');
    const targets = Array.from(
      text.matchAll(/(?:^|`)(?:sudo )?make ([a-z][a-z0-9-]+)/gm),
      ([, target = '']) => target,
    );
    expect(
      targets.filter(
        (target) => !new RegExp(`^(?:[a-z0-9-]+ )*${target}(?: [a-z0-9-]+)*:`, 'm').test(makefile),
      ),
    ).toEqual([]);
    for (const [path] of text.matchAll(/(?<![\w/])deploy\/[\w./-]+/g))
      await expect(access(join(ROOT, path)), path).resolves.toBeUndefined();
  });
});

it('each way says what tries it', async () => {
  const blocks = Array.from(
    (await read('docs/install.md')).matchAll(/^```sh ?(.*)\n/gm),
    ([, by = '']) => by,
  );
  expect(blocks.length).toBeGreaterThan(5);
  for (const by of blocks) {
    if (by === 'tried' || by === 'by make') continue;
    await expect(access(join(ROOT, by)), by).resolves.toBeUndefined();
  }
});

it('a farm from source builds, as the page has it', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(`${folderPrefix()}install-`);
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const bases = stack.use(await startRegistry());
  const engine = stack.use(await startEngine({ mirror: bases.host }));
  const registry = stack.use(await startRegistry());
  for (const name of ['bin', 'examples']) await symlink(join(ROOT, name), join(folder, name));
  const base = `${bases.host}/library/busybox:stable`;
  await importBaseImage(engine, base);
  await engine.docker(['push', base]);
  const [http, wamp] = [await freePort(), await freePort()];
  const commands = (await triedCommands('install.md', 'From source'))
    .replaceAll('registry.example:5000', registry.host)
    .replaceAll('127.0.0.1:8686', `127.0.0.1:${http}`)
    .replaceAll('127.0.0.1:8787', `127.0.0.1:${wamp}`);
  // However it ends, its programs end with it.
  const shell = stack.use(
    startProcess(
      '/bin/sh',
      ['-eu', '-c', `trap 'trap "" TERM; kill 0; wait' EXIT; trap 'exit 1' TERM\n${commands}`],
      {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          DOCKER_HOST: engine.dockerHost,
          LISTEN_HTTP: `127.0.0.1:${http}`,
          LISTEN_WAMP: `127.0.0.1:${wamp}`,
        },
      },
    ),
  );
  expect(await shell.exited, shell.output()).toBe(0);
  const pushed = await fetch(`http://${registry.host}/v2/team/hello/manifests/latest`, { method: 'HEAD' });
  expect(pushed.status).toBe(200);
});
