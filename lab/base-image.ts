import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import type { LabEngine } from './engine.ts';

const execFileAsync = promisify(execFile);

/** Imports a small image with a shell, made of this machine's busybox (Debian's `busybox-static`), under this name. */
export async function importBaseImage(engine: LabEngine, reference: string): Promise<void> {
  await engine.docker(['import', '--change', 'CMD ["/bin/sh"]', '-', reference], {
    input: await busyboxTar(),
  });
}

async function busyboxTar(): Promise<Buffer> {
  const { stdout } = await execFileAsync('/bin/busybox', ['--list']);
  const tar = pack();
  for (const name of ['bin', 'etc', 'root', 'usr', 'var'])
    tar.entry({ name, type: 'directory', mode: 0o755 });
  tar.entry({ name: 'tmp', type: 'directory', mode: 0o1777 });
  tar.entry({ name: 'etc/passwd' }, 'root:x:0:0:root:/root:/bin/sh\n');
  tar.entry({ name: 'bin/busybox', mode: 0o755 }, await readFile('/bin/busybox'));
  for (const applet of stdout.split('\n').filter((name) => name !== '' && name !== 'busybox')) {
    tar.entry({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' });
  }
  tar.finalize();
  return buffer(tar);
}
