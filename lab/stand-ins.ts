import { execFile } from 'node:child_process';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { LabEngine } from './engine.ts';
import { folderPrefix } from './orphans.ts';
import { run } from './process.ts';

/**
 * Base images without a hub: a Debian root of this machine's files under the name of the real base, with the package manager's name
 * for a script that installs what this machine has. A package is installed by its real name or not at all, so that one that is
 * misspelt, or missing from a Dockerfile, is found. What that does not show is in docs/images.md.
 */

const execFileAsync = promisify(execFile);

const NODE = resolve(import.meta.dirname, '../node_modules/node/bin/node');
const INSTALLER = join(import.meta.dirname, 'stand-in-installer');
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
/** Where an image keeps what may be installed, a folder a package. */
const STORE = 'var/lib/stand-in';
/** Of a Debian package nobody runs these; the links at the top are there. */
const LEFT_OUT =
  /^(?:bin|sbin|lib|lib64)$|^usr\/share\/(?:doc|man|info|locale|lintian|bash-completion|ca-certificates)\/|\/gconv\//;

/** Files of a base or of one of its packages. */
interface Content {
  /** All that these Debian packages hold, but their documentation. */
  readonly debian?: readonly string[];
  /** Files of this machine, by where they lie in the image. */
  readonly files?: Readonly<Record<string, string>>;
}

interface StandIn {
  /** What is there at once, beside the C library. */
  readonly root: Content;
  readonly busybox?: true;
  /** The package manager, and what it has. */
  readonly installer: 'apk' | 'microdnf' | 'apt-get';
  readonly packages: Readonly<Record<string, Content>>;
  readonly osRelease: string;
}

const node = (path: string): Content => ({ files: { [path]: NODE } });
const SHELL_TOOLS = ['bash', 'coreutils', 'findutils', 'grep', 'sed'];

const alpine: StandIn = {
  root: { files: { 'etc/ssl/certs/ca-certificates.crt': CERTIFICATES } },
  busybox: true,
  installer: 'apk',
  packages: {
    bzip2: { debian: ['bzip2'] },
    'ca-certificates': {},
    git: { debian: ['git'] },
    'libstdc++': { debian: ['libgcc-s1', 'libstdc++6'] },
    'openssh-client-default': { debian: ['openssh-client'] },
    tini: { files: { 'usr/sbin/tini': '/usr/bin/tini' } },
    'tini-static': { files: { 'usr/sbin/tini-static': '/usr/bin/tini-static' } },
    xz: { debian: ['xz-utils'] },
  },
  osRelease: 'ID=alpine\nPRETTY_NAME="A stand-in for Alpine Linux"\n',
};

const debian: StandIn = {
  root: { debian: [...SHELL_TOOLS, 'dash', 'gzip', 'mawk', 'tar'] },
  installer: 'apt-get',
  packages: {
    bzip2: { debian: ['bzip2'] },
    'ca-certificates': { files: { 'etc/ssl/certs/ca-certificates.crt': CERTIFICATES } },
    git: { debian: ['git'] },
    'libstdc++6': { debian: ['libgcc-s1', 'libstdc++6'] },
    'openssh-client': { debian: ['openssh-client'] },
    tini: { debian: ['tini'] },
    'xz-utils': { debian: ['xz-utils'] },
  },
  osRelease: 'ID=debian\nPRETTY_NAME="A stand-in for Debian"\n',
};

const ubiMinimal: StandIn = {
  root: {
    debian: SHELL_TOOLS,
    files: { 'etc/pki/tls/certs/ca-bundle.crt': CERTIFICATES, 'usr/bin/sh': '/usr/bin/bash' },
  },
  installer: 'microdnf',
  packages: {
    bzip2: { debian: ['bzip2'] },
    'git-core': { debian: ['git'] },
    nodejs: node('usr/bin/node'),
    'openssh-clients': { debian: ['openssh-client'] },
    xz: { debian: ['xz-utils'] },
  },
  osRelease: 'ID=rhel\nPRETTY_NAME="A stand-in for Red Hat Universal Base Image"\n',
};

/** The real names of the bases that there are stand-ins for. */
const standIns = {
  'docker.io/library/alpine:3.22': alpine,
  'docker.io/library/node:24-alpine3.22': { ...alpine, root: node('usr/local/bin/node') },
  'docker.io/library/debian:bookworm-slim': debian,
  'docker.io/library/node:24-bookworm-slim': {
    ...debian,
    root: { ...debian.root, ...node('usr/local/bin/node') },
  },
  'registry.access.redhat.com/ubi9/ubi-minimal:latest': ubiMinimal,
} satisfies Record<string, StandIn>;

/** A base image that there is a stand-in for, by its real name. */
export type StandInName = keyof typeof standIns;

/** Makes these bases on an engine, under their real names. Needs Debian, with the packages that are named above. */
export async function importStandIns(
  engine: Pick<LabEngine, 'docker'>,
  names: readonly StandInName[],
): Promise<void> {
  const directory = await mkdtemp(`${folderPrefix()}stand-ins-`);
  try {
    // All must have ended before their folder goes.
    const ends = await Promise.allSettled(
      names.map((name, index) => importStandIn(engine, name, join(directory, String(index)))),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function importStandIn(
  engine: Pick<LabEngine, 'docker'>,
  name: StandInName,
  root: string,
): Promise<void> {
  await layOut(root, standIns[name]);
  const tar = `${root}.tar`;
  await run('tar', ['--create', '--file', tar, '--directory', root, '.']);
  const path = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  await engine.docker(['import', '--change', path, '--change', 'CMD ["/bin/sh"]', tar, name]);
}

async function layOut(root: string, standIn: StandIn): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  for (const name of ['etc', 'proc', 'root', 'run', 'sys', 'usr/local/bin', 'var/cache', STORE])
    await mkdir(join(root, name), { recursive: true });
  await mkdir(join(root, 'tmp'));
  await chmod(join(root, 'tmp'), 0o1777);
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:root\n');
  await writeFile(join(root, 'etc/os-release'), standIn.osRelease);
  if (standIn.busybox) await addBusybox(root);
  await copyFile(INSTALLER, join(root, 'usr/bin', standIn.installer));
  const there = new Set<string>();
  for (const path of await copy(root, { debian: ['libc6'] }, there)) there.add(path);
  for (const path of await copy(root, standIn.root, there)) there.add(path);
  for (const [name, content] of Object.entries(standIn.packages)) {
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
  const paths = [...new Set([...listed, ...(await librariesOf(programs))])].filter(
    (path) => !there.has(path),
  );
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
async function librariesOf(files: readonly string[]): Promise<readonly string[]> {
  const isProgram = await Promise.all(files.map(isElf));
  const programs = files.filter((_, index) => isProgram[index]);
  if (programs.length === 0) return [];
  // It fails when one of them is linked statically.
  const { stdout } = await execFileAsync('ldd', programs).catch(
    (error: unknown) => error as { stdout: string },
  );
  const libraries = [
    ...new Set([...stdout.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path = '']) => path)),
  ];
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
