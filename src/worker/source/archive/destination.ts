import {
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { BuildError } from '../../../contract/build-errors.ts';
import type { SourceLimits } from '../limits.ts';
import { writeNewFile, type EntryAttributes } from './file-writer.ts';
import { refuseEntry, splitName } from './names.ts';
import { checkLinks, createFolderNode, findNode, type FolderNode } from './tree.ts';

/**
 * Where an archive's entries go. Every method throws a BuildError `cannotextractbuildpack` for an entry that must not be
 * unpacked. An entry that comes twice is replaced by the later one, as tar does.
 */
export interface Destination extends Disposable {
  file(name: string, attributes: EntryAttributes, content: AsyncIterable<Uint8Array>): Promise<void>;
  folder(name: string, attributes: EntryAttributes): void;
  /** The link is made by `finish`, when all links are known and none leaves. */
  symlink(name: string, target: string, mtime: number | null): void;
  hardlink(name: string, existing: string): void;
  /** Makes the links and sets the folders' modes and times. */
  finish(): Promise<void>;
}

const PERMISSIONS = 0o777;
/** What we need of our own folders to read them, and to remove them again. */
const OWN_FOLDER = 0o700;
const DEFAULT_FOLDER_MODE = 0o755;
const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Links and folders that are finished without a pause. */
const AT_ONCE = 500;

/** A folder that is open, by its file descriptor. */
interface OpenFolder {
  readonly node: FolderNode;
  readonly fd: number;
}

/**
 * A destination at `directory`, an existing folder. Each folder below it is opened from the one above, without following links,
 * so nothing is ever written outside, whatever the archive or another process puts in between.
 */
export function openDestination(directory: string, limits: SourceLimits): Destination {
  const top: OpenFolder = { node: createFolderNode(), fd: openSync(directory, OPEN_FOLDER) };
  let entries = 0;
  // Archives list folder by folder: the one written last stays open.
  let last: (OpenFolder & { readonly key: string }) | null = null;

  const count = (): void => {
    entries += 1;
    if (entries > limits.entries) {
      throw new BuildError(
        'cannotextractbuildpack',
        `The package holds more than ${limits.entries} entries. Leave out what the build does not need.`,
      );
    }
  };

  const closeLast = (): void => {
    if (last) closeSync(last.fd);
    last = null;
  };

  /** The folder at these parts, made with those above it where they are missing. */
  const enter = (parts: readonly string[], name: string): OpenFolder => {
    if (parts.length === 0) return top;
    const key = parts.join('/');
    if (last?.key === key) return last;
    closeLast();
    let folder = top;
    for (const part of parts) {
      const { node, fd } = folder;
      try {
        const child = node.children.get(part);
        if (child !== undefined && child.kind !== 'folder') {
          throw refuseEntry(
            name,
            `lies below ${child.kind === 'file' ? 'a file' : 'a link'}. Pack it again.`,
          );
        }
        if (child === undefined) {
          count();
          mkdirSync(within(fd, part), OWN_FOLDER);
        }
        folder = { node: child ?? createFolderNode(), fd: openSync(within(fd, part), OPEN_FOLDER) };
      } finally {
        if (fd !== top.fd) closeSync(fd);
      }
      node.children.set(part, folder.node);
    }
    last = { key, ...folder };
    return last;
  };

  /** Judges an entry's name, and makes room for it: what was there before goes, but for a folder. */
  const place = (name: string): { folder: OpenFolder; base: string } => {
    const parts = splitName(name, limits);
    const base = parts.at(-1);
    if (base === undefined) throw refuseEntry(name, 'is the package itself, and no folder. Pack it again.');
    const folder = enter(parts.slice(0, -1), name);
    const before = folder.node.children.get(base);
    if (before?.kind === 'folder') throw refuseEntry(name, 'comes as a folder too. Pack it again.');
    if (before?.kind === 'file') unlinkSync(within(folder.fd, base));
    folder.node.children.delete(base);
    return { folder, base };
  };

  const makeSymlink = (name: string, target: string, mtime: number | null): void => {
    if (target === '' || target.includes('\0') || target.includes('\uFFFD')) {
      throw refuseEntry(name, 'is a link without a readable target. Pack it again.');
    }
    if (Buffer.byteLength(target) > limits.pathBytes || target.split('/').length > 2 * limits.depth) {
      throw refuseEntry(name, 'is a link whose target is too long. Shorten it.');
    }
    const { folder, base } = place(name);
    folder.node.children.set(base, { kind: 'symlink', target, mtime });
  };

  return {
    file: async (name, attributes, content) => {
      count();
      const { folder, base } = place(name);
      folder.node.children.set(base, { kind: 'file' });
      await writeNewFile(within(folder.fd, base), attributes, content);
    },
    folder: (name, { mode, mtime }) => {
      count();
      const { node } = enter(splitName(name, limits), name);
      node.mode = mode;
      node.mtime = mtime;
    },
    symlink: (name, target, mtime) => {
      count();
      makeSymlink(name, target, mtime);
    },
    hardlink: (name, existing) => {
      count();
      const from = splitName(existing, limits);
      const node = findNode(top.node, from);
      if (node === null || node.kind === 'folder') {
        throw refuseEntry(name, 'is a hard link to what is no file of the package. Pack it again.');
      }
      // A second name of a link is the same link in another place: judged like one.
      if (node.kind === 'symlink') {
        makeSymlink(name, node.target, node.mtime);
        return;
      }
      if (from.join('/') === splitName(name, limits).join('/')) return;
      const source = openBelow(top.fd, from.slice(0, -1));
      try {
        const { folder, base } = place(name);
        linkSync(within(source, from.at(-1) ?? ''), within(folder.fd, base));
        folder.node.children.set(base, { kind: 'file' });
      } finally {
        closeSync(source);
      }
    },
    finish: async () => {
      closeLast();
      checkLinks(top.node);
      await complete(top);
    },
    [Symbol.dispose]: () => {
      closeLast();
      closeSync(top.fd);
    },
  };
}

/** Makes the links of a tree, and gives folders their modes and times once they are full: filling them would change those. */
async function complete(top: OpenFolder): Promise<void> {
  let completed = 0;
  const completeFolder = async ({ node, fd }: OpenFolder): Promise<void> => {
    for (const [name, child] of node.children) {
      if (child.kind === 'file') continue;
      completed += 1;
      if (completed % AT_ONCE === 0) await setImmediate();
      if (child.kind === 'symlink') {
        symlinkSync(child.target, within(fd, name));
        if (child.mtime !== null) lutimesSync(within(fd, name), child.mtime, child.mtime);
        continue;
      }
      const below = openSync(within(fd, name), OPEN_FOLDER);
      try {
        await completeFolder({ node: child, fd: below });
      } finally {
        closeSync(below);
      }
    }
    fchmodSync(fd, ((node.mode ?? DEFAULT_FOLDER_MODE) & PERMISSIONS) | OWN_FOLDER);
    if (node.mtime !== null) futimesSync(fd, node.mtime, node.mtime);
  };
  await completeFolder(top);
}

/** Opens the folder at these parts, which exists. The caller closes it. */
function openBelow(top: number, parts: readonly string[]): number {
  let fd = openSync(within(top, '.'), OPEN_FOLDER);
  for (const part of parts) {
    const above = fd;
    try {
      fd = openSync(within(above, part), OPEN_FOLDER);
    } finally {
      closeSync(above);
    }
  }
  return fd;
}

/** A path that starts at an open folder rather than at a name: openat(2), as far as Node can say it on Linux. */
function within(folder: number, name: string): string {
  return `/proc/self/fd/${folder}/${name}`;
}
