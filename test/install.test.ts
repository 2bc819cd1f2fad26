import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folderPrefix } from '../lab/orphans.ts';
import { run } from '../lab/process.ts';
import { managerConfiguration } from '../src/manager/config.ts';
import { exitCodes as managerExitCodes } from '../src/manager/exit-codes.ts';
import { workerConfiguration } from '../src/worker/config.ts';
import { exitCodes } from '../src/worker/exit-codes.ts';

/** `make install`, of what `make build` left, into a root folder, and what systemd says of the units there. */

const ROOT = resolve(import.meta.dirname, '..');
const UNITS = ['quay-builder.service', 'quay-build-manager.service'];
/** Which make install makes of the first one. */
const INSTANCES = 'quay-builder@.service';
/** Tenths of what `systemd-analyze security` calls exposure: 100 is a service without any bound. */
const EXPOSURE_MAX = 20;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(`${folderPrefix()}install-`);
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await writeFile(join(root, 'usr/bin/other'), 'of another package');
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function install(...args: readonly string[]): Promise<void> {
  await run(join(ROOT, 'scripts/install'), args, { env: { ...process.env, DESTDIR: root, PREFIX: '/usr' } });
}

async function files(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((each) => !each.isDirectory()).map((each) => join(each.parentPath, each.name));
}

/** The values of a unit's setting, in their order. */
async function settingsOf(unit: string, name: string): Promise<string[]> {
  const text = await readFile(join(ROOT, 'deploy/systemd', unit), 'utf8');
  return Array.from(text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm')), ([, value = '']) => value);
}

describe('installed', () => {
  beforeAll(() => install());

  it.each(['quay-builder', 'quay-build-manager', 'quay-build'])(
    '%s runs on the Node that came with it',
    async (program) => {
      const version = await run(join(root, 'usr/bin', program), ['--version'], {
        env: { PATH: '/usr/bin:/bin' },
      });
      expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
    },
  );

  it('has a manual page of quay-build, in which man finds nothing wrong', async () => {
    // What it finds it only says, beside the page.
    const page = await run(
      '/bin/sh',
      ['-c', 'exec man --local-file --warnings "$0" 2>&1', join(root, 'usr/share/man/man1/quay-build.1')],
      {
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', MANWIDTH: '200' },
      },
    );
    expect(page).not.toMatch(/warning|quay-build\.1:/);
    expect(page).toMatch(/^NAME\n +quay-build - builds images on a build farm$/m);
    for (const command of ['submit', 'workers drain'])
      expect(page).toContain(`quay-build ${command} [options]`);
    expect(page).toMatch(/^ +-t, --tag <tag>$/m);
    expect(page).toMatch(/^EXIT STATUS\n +0 +the build completed/m);
  });

  it.each([
    ['ca', ['cancel']],
    ['submit --git-t', ['--git-token']],
    ['submit --network ', ['default', 'none', 'host']],
    ['ls --state int', ['internalerror']],
    ['workers --json=1 d', ['drain']],
    ['workers drain --', ['--wait', '--json', '--help']],
    ['list --repository ', []],
  ])('completes quay-build %s in bash', async (line, words) => {
    // What bash gives to a completion, of which it asks for files with compopt only where it completes.
    const script = `compopt() { :; }; source "$0"; COMP_WORDS=(quay-build "$@"); COMP_CWORD=$#; _quay_build; printf '%s\n' "\${COMPREPLY[@]}"`;
    const completion = join(root, 'usr/share/bash-completion/completions/quay-build');
    const said = await run('bash', ['--norc', '-c', script, completion, ...line.split(' ')]);
    expect(said.split('\n').filter((word) => word !== '')).toEqual(words);
  });

  it('has units in which systemd finds nothing wrong', async () => {
    // What they refer to is systemd's own.
    await cp('/lib/systemd/system', join(root, 'usr/lib/systemd/system'), {
      recursive: true,
      verbatimSymlinks: true,
      force: false,
    });
    await symlink('usr/lib', join(root, 'lib'));
    // Most of what it finds it only says.
    const said = await run('/bin/sh', [
      '-c',
      'exec systemd-analyze verify --root="$0" "$@" 2>&1',
      root,
      ...UNITS,
      INSTANCES,
    ]);
    expect(said).toBe('');
  });

  it.each(UNITS)('%s names a page that was installed', async (unit) => {
    const text = await readFile(join(root, 'usr/lib/systemd/system', unit), 'utf8');
    const [, page = ''] = /^Documentation=file:\/\/(.*)$/m.exec(text) ?? [];
    await expect(readFile(join(root, page), 'utf8')).resolves.toContain('# Services of systemd');
  });

  it('has workers beside the first that share nothing with it', async () => {
    const lines = async (unit: string): Promise<string[]> =>
      (await readFile(join(root, 'usr/lib/systemd/system', unit), 'utf8')).split('\n');
    const [first, other] = [await lines('quay-builder.service'), await lines(INSTANCES)];
    const own = other.filter((line) => !first.includes(line) && !line.startsWith('Description='));
    expect(own).toEqual([
      'EnvironmentFile=/etc/quay-builder/%i.environment',
      'StateDirectory=quay-builder-%i',
      'Environment=WORK_DIR=/var/lib/quay-builder-%i',
      'Environment=WORKER_ID=%H-%i',
    ]);
    expect(other).toHaveLength(first.length + 1);
  });

  it.each([...UNITS, INSTANCES])('%s leaves little open', async (unit) => {
    const path = join(root, 'usr/lib/systemd/system', unit);
    await run('systemd-analyze', [
      'security',
      '--offline=yes',
      `--threshold=${EXPOSURE_MAX}`,
      '--no-pager',
      path,
    ]);
  });

  it('makes the users of the services, and folders for their settings', async () => {
    await mkdir(join(root, 'etc'));
    await run('systemd-sysusers', [`--root=${root}`, 'quay-builder.conf']);
    await run('systemd-tmpfiles', [`--root=${root}`, '--create', 'quay-builder.conf']);
    const users = await readFile(join(root, 'etc/passwd'), 'utf8');
    const groups = await readFile(join(root, 'etc/group'), 'utf8');
    for (const unit of UNITS) {
      const [user = ''] = await settingsOf(unit, 'User');
      expect(users).toMatch(new RegExp(`^${user}:`, 'm'));
      await expect(readdir(join(root, 'etc', user))).resolves.toEqual([]);
    }
    expect(groups).toMatch(/^docker:.*:quay-builder$/m);
  });
});

it('goes below no path that systemd would not start programs from', async () => {
  const env = { ...process.env, DESTDIR: root, PREFIX: 'opt' };
  await expect(run(join(ROOT, 'scripts/install'), [], { env })).rejects.toThrow(
    /ended with 64: .*PREFIX must be an absolute path/s,
  );
  expect(await readdir(root)).not.toContain('opt');
});

it('is gone when it is uninstalled, and nothing else is', async () => {
  await rm(join(root, 'usr'), { recursive: true });
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await writeFile(join(root, 'usr/bin/other'), 'of another package');
  const before = await files();
  await install();
  expect((await files()).length).toBeGreaterThan(before.length);
  await install('--remove');
  expect(await files()).toEqual(before);
});

it('has units that give the programs time to stop, and start them again for what that mends', async () => {
  const [worker = '', manager = ''] = UNITS;
  const seconds = async (unit: string): Promise<number> =>
    Number((await settingsOf(unit, 'TimeoutStopSec'))[0]);
  expect(await seconds(worker)).toBeGreaterThan(
    Number(workerConfiguration.settings.SHUTDOWN_TIMEOUT.default),
  );
  const { STOP_DELAY_SECONDS, STOP_WITHIN_SECONDS } = managerConfiguration.settings;
  expect(await seconds(manager)).toBeGreaterThan(
    Number(STOP_DELAY_SECONDS.default) + Number(STOP_WITHIN_SECONDS.default),
  );
  expect(await settingsOf(worker, 'SuccessExitStatus')).toEqual([`${exitCodes.interrupted}`]);
  expect(await settingsOf(worker, 'RestartPreventExitStatus')).toEqual([
    `${exitCodes.wrongSetting} ${exitCodes.workDirectory}`,
  ]);
  expect(await settingsOf(manager, 'RestartPreventExitStatus')).toEqual([`${managerExitCodes.wrongSetting}`]);
});
