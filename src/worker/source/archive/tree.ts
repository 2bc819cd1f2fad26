import { refuseEntry } from './names.ts';

/** What an archive has unpacked so far, kept in memory so that each entry is judged before the disk sees it. */

export interface FolderNode {
  readonly kind: 'folder';
  readonly children: Map<string, TreeNode>;
  /** Permission bits and seconds since 1970, given to the folder once it is full; null where no entry said them. */
  mode: number | null;
  mtime: number | null;
}
interface FileNode {
  readonly kind: 'file';
}
interface SymlinkNode {
  readonly kind: 'symlink';
  readonly target: string;
  readonly mtime: number | null;
}
export type TreeNode = FolderNode | FileNode | SymlinkNode;

export function createFolderNode(): FolderNode {
  return { kind: 'folder', children: new Map(), mode: null, mtime: null };
}

/** What lies at these parts, or null. Never looks through a link. */
export function findNode(root: FolderNode, parts: readonly string[]): TreeNode | null {
  let node: TreeNode = root;
  for (const part of parts) {
    if (node.kind !== 'folder') return null;
    const child = node.children.get(part);
    if (child === undefined) return null;
    node = child;
  }
  return node;
}

/** How many links Linux follows in one path. */
const LINKS_FOLLOWED = 40;

/**
 * Refuses a tree in which some symbolic link leads out of it, by itself or through others. Links that lead nowhere, or
 * round in a circle, are no harm: whoever follows them meets an error.
 */
export function checkLinks(root: FolderNode): void {
  // Where each link ends: parts below the root, or null when nobody can follow it.
  const ends = new Map<SymlinkNode, readonly string[] | null>();

  const follow = (link: SymlinkNode, at: readonly string[], through: number): readonly string[] | null => {
    const known = ends.get(link);
    if (known !== undefined) return known;
    const name = at.join('/');
    if (link.target.startsWith('/')) {
      throw refuseEntry(
        name,
        'is a link to an absolute path. Make it relative, or create it in the Dockerfile.',
      );
    }
    if (through > LINKS_FOLLOWED) {
      throw refuseEntry(name, `is part of a chain of more than ${LINKS_FOLLOWED} links. Shorten it.`);
    }
    ends.set(link, null);
    const folder = at.slice(0, -1);
    checkWritten(name, folder, link.target);
    let place: string[] | null = [...folder];
    for (const part of link.target.split('/')) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (place.length === 0) throw leaves(name);
        place.pop();
        continue;
      }
      place.push(part);
      const node = findNode(root, place);
      if (node?.kind !== 'symlink') continue;
      const end = follow(node, place, through + 1);
      if (end === null) {
        place = null;
        break;
      }
      place = [...end];
    }
    ends.set(link, place);
    return place;
  };

  const visit = (folder: FolderNode, at: readonly string[]): void => {
    for (const [name, node] of folder.children) {
      if (node.kind === 'symlink') follow(node, [...at, name], 1);
      else if (node.kind === 'folder') visit(node, [...at, name]);
    }
  };
  visit(root, []);
}

/** The target as it is written must stay inside too: some programs read `a/..` without following `a`. */
function checkWritten(name: string, folder: readonly string[], target: string): void {
  let depth = folder.length;
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) throw leaves(name);
  }
}

function leaves(name: string): Error {
  return refuseEntry(name, 'is a link that leaves the package. Point it inside, or leave it out.');
}
