import { BuildError } from '../../../contract/build-errors.ts';
import { quote } from '../../../contract/words.ts';

/** What a package is (worker contract 0.3, "Build arguments", last paragraph). */
export type ArchiveKind = 'zip' | 'tar' | 'tar.gz' | 'tar.bz2' | 'tar.xz';
export type PackageKind = ArchiveKind | 'dockerfile';

/** How much of a package is looked at to tell its kind, in bytes. */
export const HEAD_BYTES = 512;

const ZIP_TYPES = ['application/zip', 'application/x-zip-compressed'];
const TAR_TYPES = [
  'application/x-tar',
  'application/gzip',
  'application/x-gzip',
  'application/x-bzip2',
  'application/x-xz',
];
/** What servers say when they do not know, object stores above all, and of a lone Dockerfile. */
const GENERIC_TYPES = ['', 'text/plain', 'application/octet-stream', 'binary/octet-stream'];

/** What is said to be damaged, when the content is none of these. */
const KIND_OF_TYPE: Readonly<Record<string, ArchiveKind>> = {
  'application/gzip': 'tar.gz',
  'application/x-gzip': 'tar.gz',
  'application/x-bzip2': 'tar.bz2',
  'application/x-xz': 'tar.xz',
};

/** What a server shows to whom it wants to log in, often with a 200 and as any type. */
const HTML = /^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|script)\b/i;
const HTML_PAGE = 'an HTML page (does its URL ask for a login?)';
const UNKNOWN = 'binary data of a kind that is not known';
const SUPPORTED = 'Send a tar, tar.gz, tar.bz2, tar.xz or zip archive, or a lone Dockerfile.';

/** What follows bzip2's `BZh` and a digit: the mark of a block. A Dockerfile may begin with BZh. */
const BZIP2_BLOCK = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];

/** Kinds that are known by their first bytes, but not unpacked. */
const OTHER_KINDS: readonly { readonly name: string; readonly magic: readonly number[] }[] = [
  { name: 'a zstd file', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'a 7-Zip archive', magic: [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c] },
  { name: 'a RAR archive', magic: [0x52, 0x61, 0x72, 0x21, 0x1a, 0x07] },
  { name: 'an lz4 file', magic: [0x04, 0x22, 0x4d, 0x18] },
  { name: 'an lzip file', magic: [0x4c, 0x5a, 0x49, 0x50, 0x01] },
  { name: 'a PDF', magic: [0x25, 0x50, 0x44, 0x46, 0x2d] },
  { name: 'a PNG image', magic: [0x89, 0x50, 0x4e, 0x47] },
  { name: 'an ELF program', magic: [0x7f, 0x45, 0x4c, 0x46] },
];

/**
 * Decides what a package is, from its first {@link HEAD_BYTES}, and from its Content-Type (null when there is none) where they do not tell.
 * Throws a BuildError `dockerfileissue` that names a kind which cannot be built from.
 */
export function decideKind(contentType: string | null, head: Uint8Array): PackageKind {
  const found = lookInto(head);
  if (typeof found === 'string' && found !== 'dockerfile') return found;
  if (typeof found === 'object' && found.other !== UNKNOWN) throw unsupported(found.other);
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  // Not what it is said to be: then its reader says what is wrong with it.
  if (ZIP_TYPES.includes(type)) return 'zip';
  if (TAR_TYPES.includes(type)) return KIND_OF_TYPE[type] ?? 'tar';
  if (!GENERIC_TYPES.includes(type)) throw unsupported(`of the media type ${quote(type)}`);
  if (typeof found === 'object') throw unsupported(found.other);
  return found;
}

function unsupported(what: string): BuildError {
  return new BuildError(
    'dockerfileissue',
    `The package is ${what}, which cannot be built from. ${SUPPORTED}`,
  );
}

function lookInto(head: Uint8Array): PackageKind | { readonly other: string } {
  if (startsWith(head, [0x50, 0x4b, 0x03, 0x04]) || startsWith(head, [0x50, 0x4b, 0x05, 0x06])) return 'zip';
  if (startsWith(head, [0x1f, 0x8b])) return 'tar.gz';
  if (startsWith(head, [0x42, 0x5a, 0x68]) && startsWith(head.subarray(4), BZIP2_BLOCK)) return 'tar.bz2';
  if (startsWith(head, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return 'tar.xz';
  if (isTarHeader(head)) return 'tar';
  const other = OTHER_KINDS.find((kind) => startsWith(head, kind.magic));
  if (other) return { other: other.name };
  if (HTML.test(Buffer.from(head).toString('latin1'))) return { other: HTML_PAGE };
  return head.includes(0) ? { other: UNKNOWN } : 'dockerfile';
}

function startsWith(head: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, at) => head[at] === byte);
}

/** Whether a tar's first block is intact: its checksum holds, which also the oldest tars have (POSIX pax, "ustar Header Block"). */
function isTarHeader(head: Uint8Array): boolean {
  if (head.length < HEAD_BYTES) return false;
  const text = Buffer.from(head.subarray(148, 156)).toString('latin1');
  const expected = parseInt(/^[ 0]*([0-7]+)/.exec(text)?.[1] ?? '', 8);
  let sum = 8 * 0x20;
  for (const [at, byte] of head.entries()) if (at < 148 || at >= 156) sum += byte;
  return sum === expected;
}
