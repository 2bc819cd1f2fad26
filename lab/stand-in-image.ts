import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, lstat, mkdir, open, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { LabEngine } from './engine.ts';
import { librariesOf } from './libraries.ts';
import { run } from './process.ts';

/** How an image is made of this machine's files: those of Debian packages, with the libraries that they need. */

const execFileAsync = promisify(execFile);

const INSTALLER = join(import.meta.dirname, 'stand-in-installer');
/** Where an image keeps what may be installed, a folder a package. */
const STORE = 'var/lib/stand-in';
/** Of a Debian package nobody runs these; the links at the top are there. */
const LEFT_OUT =
  /^(?:bin|sbin|lib|lib64)$|^usr\/share\/(?:doc|man|info|locale|lintian|bash-completion|ca-certificates)\/|\/gconv\/|\/postgresql\/\d+\/lib\/(?:llvmjit|bitcode)/;

/** Files of a base or of one of its packages. */
export interface Content {
  /** All that these Debian packages hold, but their documentation. */
  readonly debian?: readonly string[];
  /** Files of this machine, by where they lie in the image. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface StandIn {
  /** What is there at once, beside the C library. */
  readonly root: Content;
  readonly busybox?: true;
  /** The package manager, and what it has. */
  readonly installer?: 'apk' | 'microdnf' | 'apt-get';
  readonly packages?: Readonly<Record<string, Content>>;
  readonly osRelease: string;
  /** A user beside root, whose group has the same number, and the folders that are the user's, where others may write too. */
  readonly user?: { readonly name: string; readonly uid: number; readonly folders: readonly string[] };
  /** What else a Dockerfile would say of the image. */
  readonly instructions?: readonly string[];
}

/** Makes an image of this name. The folder, which is made, is the caller's to remove. */
export async function importStandIn(
  engine: Pick<LabEngine, 'docker'>,
  name: string,
  standIn: StandIn,
  root: string,
): Promise<void> {
  await layOut(root, standIn);
  const tar = `${root}.tar`;
  await run('tar', ['--create', '--file', tar, '--directory', root, '.']);
  const instructions = [
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'CMD ["/bin/sh"]',
    ...(standIn.instructions ?? []),
  ];
  await engine.docker(['import', ...instructions.flatMap((each) => ['--change', each]), tar, name]);
}

async function layOut(root: string, standIn: StandIn): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  for (const name of ['etc', 'proc', 'root', 'run', 'sys', 'usr/local/bin', 'var/cache', STORE])
    await mkdir(join(root, name), { recursive: true });
  await symlink('/run', join(root, 'var/run'));
  await mkdir(join(root, 'tmp'));
  await chmod(join(root, 'tmp'), 0o1777);
  const { user } = standIn;
  const own = user ? `${user.name}:x:${user.uid}:` : '';
  await writeFile(
    join(root, 'etc/passwd'),
    `root:x:0:0:root:/root:/bin/sh\n${user ? `${own}${user.uid}::/:/bin/sh\n` : ''}`,
  );
  await writeFile(join(root, 'etc/group'), `root:x:0:root\n${user ? `${own}\n` : ''}`);
  for (const folder of user?.folders ?? []) {
    await mkdir(join(root, folder), { recursive: true });
    await chown(join(root, folder), user?.uid ?? 0, user?.uid ?? 0);
    await chmod(join(root, folder), 0o1777);
  }
  await writeFile(join(root, 'etc/os-release'), standIn.osRelease);
  if (standIn.busybox) await addBusybox(root);
  if (standIn.installer) await copyFile(INSTALLER, join(root, 'usr/bin', standIn.installer));
  const there = new Set<string>();
  for (const path of await copy(root, { debian: ['libc6'] }, there)) there.add(path);
  for (const path of await copy(root, standIn.root, there)) there.add(path);
  for (const [name, content] of Object.entries(standIn.packages ?? {})) {
    await copy(join(root, STORE, name), content, there);
  }
}

async function addBusybox(root: string): Promise<void> {
  const { stdout } = await execFileAsync('/bin/busybox', ['--list']);
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of stdout.split('\n').filter((name) => name !== '' && name !== 'busybox'))
    await symlink('busybox', join(root, 'bin', applet));
}

/**
 * Copies what a base or a package holds, with the libraries that its programs are loaded with, but not what is there already: a
 * package manager that overwrites the C library which it runs on ends. Answers with the paths.
 */
async function copy(
  into: string,
  { debian: packages = [], files = {} }: Content,
  there: ReadonlySet<string>,
): Promise<readonly string[]> {
  await mkdir(into, { recursive: true });
  const listed = packages.length === 0 ? [] : await filesOf(packages);
  const programs = [...listed.map((path) => `/${path}`), ...Object.values(files)];
  const paths = [...new Set([...listed, ...(await neededBy(programs))])].filter((path) => !there.has(path));
  if (paths.length > 0) {
    await run('cp', ['--archive', '--parents', '--target-directory', into, '--', ...paths], { cwd: '/' });
  }
  for (const [path, source] of Object.entries(files)) {
    await mkdir(join(into, dirname(path)), { recursive: true });
    await copyFile(source, join(into, path));
  }
  return paths;
}

/** The files and links of Debian packages, relative to the root, as they lie since `/bin` is `/usr/bin`. */
async function filesOf(packages: readonly string[]): Promise<string[]> {
  const listed = await run('dpkg-query', ['--listfiles', ...packages]);
  const paths = listed
    .split('\n')
    .filter((line) => line.startsWith('/'))
    .map((path) => path.slice(1).replace(/^(?=(?:bin|sbin|lib|lib64)\/)/, 'usr/'))
    .filter((path) => !LEFT_OUT.test(path));
  const stats = await Promise.all(paths.map((path) => lstat(`/${path}`).catch(() => null)));
  return paths.filter(
    (_, index) => stats[index]?.isFile() === true || stats[index]?.isSymbolicLink() === true,
  );
}

/** What the dynamic linker loads for those of these files that are programs, relative to the root. */
async function neededBy(files: readonly string[]): Promise<readonly string[]> {
  const isProgram = await Promise.all(files.map(isElf));
  const programs = files.filter((_, index) => isProgram[index]);
  if (programs.length === 0) return [];
  const libraries = await librariesOf(programs);
  // A library's name is often a link to the file.
  return [...libraries, ...(await Promise.all(libraries.map((path) => realpath(path))))].map((path) =>
    path.slice(1).replace(/^(?=lib(?:64)?\/)/, 'usr/'),
  );
}

async function isElf(path: string): Promise<boolean> {
  // A link that leads nowhere is no program.
  const file = await open(path).catch(() => null);
  if (file === null) return false;
  try {
    if (!(await file.stat()).isFile()) return false;
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4);
    return buffer.toString('latin1') === '\x7fELF';
  } finally {
    await file.close();
  }
}
