import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { folderPrefix } from '../../lab/orphans.ts';
import { run } from '../../lab/process.ts';

/** What make says before it makes an image. That it makes them with Debian's Docker is in worker.test.ts. */

const ROOT = resolve(import.meta.dirname, '../..');

it('says what a Docker without BuildKit lacks for the image on UBI', async () => {
  const directory = await mkdtemp(`${folderPrefix()}make-`);
  onTestFinished(() => rm(directory, { recursive: true }));
  const docker = join(directory, 'docker');
  await writeFile(
    docker,
    `#!/bin/sh
case $1 in
  --version) echo 'Docker version 28.1.1, build 4eba377' ;;
  *) echo "docker: unknown command: docker $1" >&2; exit 1 ;;
esac
`,
    { mode: 0o755 },
  );
  const made = run('make', ['--old-file', 'dist/.built', 'build-rhel-image', `ENGINE=${docker}`], {
    cwd: ROOT,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: directory },
  });
  await expect(made).rejects.toThrow(
    /build-rhel-image needs BuildKit, which '\S+' has by its plugin buildx: install docker-buildx-plugin/,
  );
  await expect(made).rejects.not.toThrow('unknown command');
});
