/**
 * BuildKit takes a file for the one that it has when path, size, mode and modification time are the same, and asks for it otherwise. So the
 * time tells of the content: a file is sent again when its content has changed, and not when only its checkout or its package is new.
 */

const MICROSECONDS = 1_000_000;

/** A second of an archive's, with a fraction that depends on the content's checksum. In seconds since 1970. */
export function timeOfContent(seconds: number, checksum: number): number {
  return Math.floor(seconds) + (checksum % MICROSECONDS) / MICROSECONDS;
}

/** Git keeps no times: a day of 2001 or 2002. */
const EPOCH = 1_000_000_000;
const SPAN_SECONDS = 2 ** 25;

/**
 * A time that depends on a git object's id alone. Whole seconds differ too, from which web servers make their ETag and Last-Modified. In seconds
 * since 1970.
 */
export function timeOfObject(id: Uint8Array): number {
  const view = new DataView(id.buffer, id.byteOffset, id.byteLength);
  return timeOfContent(EPOCH + (view.getUint32(0) % SPAN_SECONDS), view.getUint32(4));
}
