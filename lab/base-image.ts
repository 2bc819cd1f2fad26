import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import type { LabEngine } from './engine.ts';

const execFileAsync = promisify(execFile);

/**
 * Imports a small image with a shell, made of this machine's busybox (Debian's `busybox-static`), under this name. `programs` of this
 * machine, by their paths, are put into it with the libraries that they need.
 */
export async function importBaseImage(
  engine: LabEngine,
  reference: string,
  programs: readonly string[] = [],
): Promise<void> {
  await engine.docker(['import', '--change', 'CMD ["/bin/sh"]', '-', reference], {
    input: await busyboxTar(programs),
  });
}

/** The files that a program is loaded from: itself, its loader and its libraries. */
async function filesOf(program: string): Promise<string[]> {
  const { stdout } = await execFileAsync('ldd', [program]);
  return [program, ...stdout.matchAll(/(?<=^\s(?:\S+ => )?)\/\S+(?= \()/gm).map(([path]) => path)];
}

async function busyboxTar(programs: readonly string[]): Promise<Buffer> {
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
  const files = new Set((await Promise.all(programs.map(filesOf))).flat());
  for (const path of files) tar.entry({ name: path.slice(1), mode: 0o755 }, await readFile(path));
  tar.finalize();
  return buffer(tar);
}
