import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type ExtractEvents, type Header } from 'tar-stream';
import { BuildError } from '../../../contract/build-errors.ts';
import type { SourceLimits } from '../limits.ts';
import { isSystemError } from '../system-error.ts';
import type { Destination } from './destination.ts';
import { createMeter, type Meter } from './meter.ts';
import { refuseEntry } from './names.ts';

export interface UnpackCall {
  readonly limits: SourceLimits;
  readonly signal: AbortSignal;
  /** The PATH that the programs of bzip2 and xz are looked up in. */
  readonly searchPath: string;
}

/** A tar on its way to us. */
export interface PackedTar {
  readonly content: AsyncIterable<Uint8Array>;
  /** How large the package is, compressed if it is, in bytes. */
  readonly packedBytes: number;
  /** Whether the content is gzip'd. */
  readonly gzipped: boolean;
}

type Entry = ExtractEvents['entry'][1];

/** Below what the allocator would map anew for each: pages that are never seen twice cost more than their bytes. */
const CHUNK = 64 * 1024;
const BLOCK = 512;
/** Also tars from before POSIX, which have no magic; tar-stream knows the option, its types do not. */
const ANY_FORMAT = { highWaterMark: CHUNK, allowUnknownFormat: true };

/** Unpacks a tar, POSIX or GNU, as it comes. */
export async function unpackTar(
  { content, packedBytes, gzipped }: PackedTar,
  destination: Destination,
  { limits, signal }: UnpackCall,
): Promise<void> {
  const end = watchEnd(createMeter(packedBytes, limits));
  // Names that are not UTF-8 arrive with U+FFFD in them, which the destination refuses.
  const entries = extract(ANY_FORMAT);
  const reading = gzipped
    ? pipeline(content, createGunzip({ chunkSize: CHUNK }), end.stream, entries, { signal })
    : pipeline(content, end.stream, entries, { signal });
  const writing = (async () => {
    for await (const entry of entries) await unpackEntry(entry, destination);
  })();
  const failures = (await Promise.allSettled([writing, reading])).flatMap((side) =>
    side.status === 'rejected' ? [side.reason as unknown] : [],
  );
  signal.throwIfAborted();
  if (failures.length > 0) {
    // The side that fails ends the other, which then knows no reason of its own.
    throw failures.find((each) => each instanceof BuildError || isSystemError(each)) ?? failures.at(-1);
  }
  if (!end.complete()) {
    throw new BuildError(
      'cannotextractbuildpack',
      'The archive ends without its end mark: it is not complete. Pack it, or upload it, again.',
    );
  }
}

async function unpackEntry(entry: Entry, destination: Destination): Promise<void> {
  const { header } = entry;
  const { mode } = header;
  const mtime = modificationTime(header);
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      if (isSparse(header)) throw unsupported(header, 'a sparse file');
      await destination.file(header.name, { mode, mtime }, bytes(entry));
      return;
    case 'directory':
      destination.folder(header.name, { mode, mtime });
      break;
    case 'symlink':
      destination.symlink(header.name, linkTarget(header), mtime);
      break;
    case 'link':
      destination.hardlink(header.name, linkTarget(header));
      break;
    case 'character-device':
    case 'block-device':
      throw refuseEntry(header.name, 'is a device. Leave it out of the package.');
    case 'fifo':
      throw refuseEntry(header.name, 'is a named pipe. Leave it out of the package.');
    default:
      throw unsupported(header, 'of a kind that is not known');
  }
  entry.resume();
}

/** Null, against its type, for a link to nothing. */
function linkTarget(header: { readonly linkname: string | null }): string {
  return header.linkname ?? '';
}

/** tar-stream's entries are byte streams, which their types do not say. */
async function* bytes(entry: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of entry) if (chunk instanceof Uint8Array) yield chunk;
}

function unsupported(header: Header, what: string): BuildError {
  return refuseEntry(header.name, `is ${what}. Pack it as an ordinary file.`);
}

/** The PAX records of an entry, which tar-stream keeps but does not declare. */
function paxRecord(header: Header, key: string): unknown {
  if (!('pax' in header) || typeof header.pax !== 'object' || header.pax === null) return undefined;
  return Object.getOwnPropertyDescriptor(header.pax, key)?.value;
}

/** One of GNU's formats 0.0, 0.1 and 1.0: its content here is not the file's. */
function isSparse(header: Header): boolean {
  return ['GNU.sparse.major', 'GNU.sparse.size'].some((key) => paxRecord(header, key) !== undefined);
}

/** Seconds since 1970, with the fraction that only PAX holds. */
function modificationTime(header: Header): number | null {
  const exact = paxRecord(header, 'mtime');
  const seconds = typeof exact === 'string' ? Number(exact) : header.mtime.getTime() / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

/** Meters the bytes of a tar, and remembers whether it ended with the zeros that POSIX asks for. */
function watchEnd(meter: Meter): { readonly stream: Transform; complete(): boolean } {
  let zeros = 0;
  const stream = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      try {
        meter(chunk.length);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      const tail = chunk.subarray(-BLOCK);
      const data = tail.findLastIndex((byte) => byte !== 0);
      zeros = data === -1 ? Math.min(BLOCK, zeros + tail.length) : tail.length - 1 - data;
      done(null, chunk);
    },
  });
  return { stream, complete: () => zeros === BLOCK };
}
