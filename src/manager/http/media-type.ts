import { isUtf8 } from 'node:buffer';

/** The kinds of package that a worker unpacks, by the bytes they begin with. */
const SIGNATURES: readonly { type: string; offset: number; bytes: Buffer }[] = [
  { type: 'application/gzip', offset: 0, bytes: Buffer.of(0x1f, 0x8b) },
  { type: 'application/zip', offset: 0, bytes: Buffer.from('PK\u0003\u0004') },
  { type: 'application/zip', offset: 0, bytes: Buffer.from('PK\u0005\u0006') },
  { type: 'application/x-tar', offset: 257, bytes: Buffer.from('ustar') },
];

/** How many bytes at the end may belong to a character that was cut. */
const CUT_CHARACTER_MAX = 3;

/**
 * The media type of a package, told from its first bytes (512 are enough): what a client says of a file is often
 * `application/octet-stream`, whatever it is. Text is `text/plain`: a lone Dockerfile.
 */
export function sniffMediaType(head: Uint8Array): string {
  for (const { type, offset, bytes } of SIGNATURES) {
    if (bytes.equals(head.subarray(offset, offset + bytes.length))) return type;
  }
  return isText(head) ? 'text/plain' : 'application/octet-stream';
}

function isText(head: Uint8Array): boolean {
  if (head.includes(0)) return false;
  for (let cut = 0; cut <= CUT_CHARACTER_MAX; cut++) {
    if (isUtf8(head.subarray(0, head.length - cut))) return true;
  }
  return false;
}
