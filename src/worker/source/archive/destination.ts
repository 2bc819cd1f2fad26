import { constants } from 'node:fs';
import { link, lutimes, mkdir, open, symlink, unlink, type FileHandle } from 'node:fs/promises';
import { BuildError } from '../../../contract/build-errors.ts';
import type { SourceLimits } from '../limits.ts';
import { createFileWriter, type EntryAttributes } from './file-writer.ts';
import { refuseEntry, splitName } from './names.ts';
import { checkLinks, createFolderNode, findNode, type FolderNode, type TreeNode } from './tree.ts';

/**
 * Where an archive's entries go. Every method throws a BuildError `cannotextractbuildpack` for an entry that must not be
 * unpacked. An entry that comes twice is replaced by the later one, as tar does.
 */
export interface Destination extends AsyncDisposable {
  file(name: string, attributes: EntryAttributes, content: AsyncIterable<Uint8Array>): Promise<void>;
  folder(name: string, attributes: EntryAttributes): Promise<void>;
  /** The link is made by `finish`, when all links are known and none leaves. */
  symlink(name: string, target: string, mtime: number | null): Promise<void>;
  hardlink(name: string, existing: string): Promise<void>;
  /** Makes the links and sets the folders' modes and times. */
  finish(): Promise<void>;
}

const PERMISSIONS = 0o777;
/** What we need of our own folders to read them, and to remove them again. */
const OWN_FOLDER = 0o700;
const DEFAULT_FOLDER_MODE = 0o755;
const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * A destination at `directory`, an existing folder. Each folder below it is opened from the one above, without following links,
 * so nothing is ever written outside, whatever the archive or another process puts in between.
 */
export async function openDestination(directory: string, limits: SourceLimits): Promise<Destination> {
  const tree = createFolderNode();
  const files = createFileWriter();
  const top = await open(directory, OPEN_FOLDER);
  let entries = 0;
  // Archives list folder by folder: the one written last stays open.
  let last: { readonly key: string; readonly node: FolderNode; readonly handle: FileHandle } | null = null;

  const count = (): void => {
    entries += 1;
    if (entries > limits.entries) {
      throw new BuildError(
        'cannotextractbuildpack',
        `The package holds more than ${limits.entries} entries. Leave out what the build does not need.`,
      );
    }
  };

  /** Leaves the folder that is open, through which its files are written. */
  const close = async (): Promise<void> => {
    await files.settle();
    await last?.handle.close();
    last = null;
  };

  /** The folder at these parts, made with those above it where they are missing. */
  const enter = async (
    parts: readonly string[],
    name: string,
  ): Promise<{ node: FolderNode; handle: FileHandle }> => {
    if (parts.length === 0) return { node: tree, handle: top };
    const key = parts.join('/');
    if (last?.key === key) return last;
    await close();
    let node = tree;
    let handle = top;
    for (const part of parts) {
      const child = node.children.get(part);
      if (child !== undefined && child.kind !== 'folder') {
        if (handle !== top) await handle.close();
        throw refuseEntry(name, `lies below ${child.kind === 'file' ? 'a file' : 'a link'}. Pack it again.`);
      }
      const below = child ?? createFolderNode();
      let next: FileHandle;
      try {
        if (child === undefined) {
          count();
          await mkdir(within(handle, part), OWN_FOLDER);
        }
        next = await open(within(handle, part), OPEN_FOLDER);
      } finally {
        if (handle !== top) await handle.close();
      }
      node.children.set(part, below);
      node = below;
      handle = next;
    }
    last = { key, node, handle };
    return last;
  };

  /** Judges an entry's name, and makes room for it: what was there before goes, but for a folder. */
  const place = async (
    name: string,
  ): Promise<{ folder: { node: FolderNode; handle: FileHandle }; base: string }> => {
    const parts = splitName(name, limits);
    const base = parts.at(-1);
    if (base === undefined) throw refuseEntry(name, 'is the package itself, and no folder. Pack it again.');
    const folder = await enter(parts.slice(0, -1), name);
    const before = folder.node.children.get(base);
    if (before?.kind === 'folder') throw refuseEntry(name, 'comes as a folder too. Pack it again.');
    if (before?.kind === 'file') {
      await files.settle();
      await unlink(within(folder.handle, base));
    }
    folder.node.children.delete(base);
    return { folder, base };
  };

  const makeSymlink = async (name: string, target: string, mtime: number | null): Promise<void> => {
    if (target === '' || target.includes('\0') || target.includes('\uFFFD')) {
      throw refuseEntry(name, 'is a link without a readable target. Pack it again.');
    }
    if (Buffer.byteLength(target) > limits.pathBytes || target.split('/').length > 2 * limits.depth) {
      throw refuseEntry(name, 'is a link whose target is too long. Shorten it.');
    }
    const { folder, base } = await place(name);
    folder.node.children.set(base, { kind: 'symlink', target, mtime });
  };

  return {
    file: async (name, attributes, content) => {
      count();
      const { folder, base } = await place(name);
      folder.node.children.set(base, { kind: 'file' });
      await files.write(within(folder.handle, base), attributes, content);
    },
    folder: async (name, { mode, mtime }) => {
      count();
      const { node } = await enter(splitName(name, limits), name);
      node.mode = mode;
      node.mtime = mtime;
    },
    symlink: async (name, target, mtime) => {
      count();
      await makeSymlink(name, target, mtime);
    },
    hardlink: async (name, existing) => {
      count();
      const from = splitName(existing, limits);
      const node = findNode(tree, from);
      if (node === null || node.kind === 'folder') {
        throw refuseEntry(name, 'is a hard link to what is no file of the package. Pack it again.');
      }
      // A second name of a link is the same link in another place: judged like one.
      if (node.kind === 'symlink') return makeSymlink(name, node.target, node.mtime);
      if (from.join('/') === splitName(name, limits).join('/')) return;
      await files.settle();
      const source = await openBelow(top, from.slice(0, -1));
      try {
        const { folder, base } = await place(name);
        await link(within(source, from.at(-1) ?? ''), within(folder.handle, base));
        folder.node.children.set(base, { kind: 'file' });
      } finally {
        await source.close();
      }
    },
    finish: async () => {
      await close();
      checkLinks(tree);
      await complete(tree, top);
    },
    [Symbol.asyncDispose]: async () => {
      await files.idle();
      await last?.handle.close();
      await top.close();
    },
  };
}

/** Makes the links of a folder and of those below it, then sets modes and times, which making them would have changed. */
async function complete(folder: FolderNode, handle: FileHandle): Promise<void> {
  for (const [name, node] of folder.children) await completeChild(node, name, handle);
  await handle.chmod(((folder.mode ?? DEFAULT_FOLDER_MODE) & PERMISSIONS) | OWN_FOLDER);
  if (folder.mtime !== null) await handle.utimes(folder.mtime, folder.mtime);
}

async function completeChild(node: TreeNode, name: string, parent: FileHandle): Promise<void> {
  if (node.kind === 'symlink') {
    await symlink(node.target, within(parent, name));
    if (node.mtime !== null) await lutimes(within(parent, name), node.mtime, node.mtime);
  } else if (node.kind === 'folder') {
    const handle = await open(within(parent, name), OPEN_FOLDER);
    try {
      await complete(node, handle);
    } finally {
      await handle.close();
    }
  }
}

/** The folder at these parts, which exists. The caller closes it. */
async function openBelow(top: FileHandle, parts: readonly string[]): Promise<FileHandle> {
  let handle = await open(within(top, '.'), OPEN_FOLDER);
  for (const part of parts) {
    try {
      const next = await open(within(handle, part), OPEN_FOLDER);
      await handle.close();
      handle = next;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
  return handle;
}

/** A path that starts at an open folder rather than at a name: openat(2), as far as Node can say it on Linux. */
function within(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`;
}
