import { isUtf8 } from 'node:buffer';
import { stat } from 'node:fs/promises';
import { getFileNameLowLevel, openPromise, type Entry, type ZipFile } from 'yauzl';
import type { SourceLimits } from '../limits.ts';
import type { Destination } from './destination.ts';
import { createMeter, type Meter } from './meter.ts';
import { refuseEntry } from './names.ts';
import type { UnpackCall } from './tar.ts';

/** Who made the entry (APPNOTE 4.4.2): only Unix writes permissions into the upper half of its attributes. */
const MADE_ON_UNIX = 3;
/** Bit 11 of the general purpose flag (APPNOTE 4.4.4). */
const NAME_IS_UTF8 = 0x800;
const KIND = 0o170000;
const KIND_FILE = 0o100000;
const KIND_FOLDER = 0o040000;
const KIND_SYMLINK = 0o120000;

/** Unpacks a zip. */
export async function unpackZip(archive: string, destination: Destination, call: UnpackCall): Promise<void> {
  const { size } = await stat(archive);
  const meter = createMeter(size, call.limits);
  const zip = await openPromise(archive, { autoClose: false, decodeStrings: false });
  try {
    for await (const entry of zip.eachEntry()) {
      call.signal.throwIfAborted();
      await unpackEntry(zip, entry, destination, meter, call);
    }
  } finally {
    zip.close();
  }
}

async function unpackEntry(
  zip: ZipFile,
  entry: Entry,
  destination: Destination,
  meter: Meter,
  { limits, signal }: UnpackCall,
): Promise<void> {
  // macOS does not say that its names are UTF-8; names of the old code page hardly ever read as that.
  const flags = entry.generalPurposeBitFlag | (isUtf8(entry.fileNameRaw) ? NAME_IS_UTF8 : 0);
  // Not strict: archives made on Windows may write backslashes for slashes.
  const name = getFileNameLowLevel(flags, entry.fileNameRaw, entry.extraFields, false);
  const attributes = entry.versionMadeBy >> 8 === MADE_ON_UNIX ? entry.externalFileAttributes >>> 16 : 0;
  const kind = attributes & KIND;
  const mtime = modificationTime(entry);
  if (kind === KIND_FOLDER || (name.endsWith('/') && kind !== KIND_SYMLINK)) {
    destination.folder(name, { mode: permissions(attributes, 0o755), mtime });
    return;
  }
  if (kind !== 0 && kind !== KIND_FILE && kind !== KIND_SYMLINK) {
    throw refuseEntry(name, 'is a device, a named pipe or a socket. Leave it out of the package.');
  }
  if (entry.isEncrypted()) throw refuseEntry(name, 'is encrypted. Pack it without a password.');
  if (!entry.canDecodeFileData()) {
    throw refuseEntry(name, 'is packed by a method that is not supported. Pack it with deflate.');
  }
  const content = readContent(zip, entry, meter, signal);
  if (kind === KIND_SYMLINK) {
    destination.symlink(name, await readTarget(name, content, limits), mtime);
  } else {
    await destination.file(name, { mode: permissions(attributes, 0o644), mtime }, content);
  }
}

function permissions(attributes: number, otherwise: number): number {
  return attributes === 0 ? otherwise : attributes;
}

/** Seconds since 1970. A time without a zone is taken as UTC, so that it is the same on every worker. */
function modificationTime(entry: Entry): number | null {
  const seconds = entry.getLastModDate({ timezone: 'UTC' }).getTime() / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

/** The unpacked content. Opened when it is first read: a stream that fails with no reader would end the process. */
async function* readContent(
  zip: ZipFile,
  entry: Entry,
  meter: Meter,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const content: AsyncIterable<Uint8Array> = await zip.openReadStreamPromise(entry);
  for await (const chunk of content) {
    signal.throwIfAborted();
    meter(chunk.length);
    yield chunk;
  }
}

/** The target of a symbolic link, which a zip keeps as the content of its entry. */
async function readTarget(
  name: string,
  content: AsyncIterable<Uint8Array>,
  limits: SourceLimits,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    length += chunk.length;
    if (length > limits.pathBytes) throw refuseEntry(name, 'is a link whose target is too long. Shorten it.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
