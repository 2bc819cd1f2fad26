import type { Readable } from 'node:stream';

export interface StoredBlob {
  /** Letters, digits and `-`: unguessable, and safe in a path or a URL. */
  readonly id: string;
  /** In bytes. */
  readonly size: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** Bytes that are written once: packages. Several managers share one store. */
export interface BlobStore {
  /**
   * Stores a stream. It is there, whole and durable, when this returns, and not at all when it fails: with {@link BlobTooLarge}
   * over `maxBytes`, or with the stream's own error. `id` is that of a blob of a backup; a new one gets its own.
   */
  put(content: Readable, options: { readonly maxBytes: number; readonly id?: string }): Promise<StoredBlob>;
  /** null when there is no such blob. The caller reads the stream to its end or destroys it. */
  open(id: string): Promise<{ readonly content: Readable; readonly size: number } | null>;
  /** A part of a blob, in bytes; shorter where the blob ends earlier. null when there is no such blob. */
  read(id: string, part: { readonly start: number; readonly length: number }): Promise<Buffer | null>;
  /** The ids of all blobs that are older than this, in no order. */
  list(olderThanSeconds: number): AsyncIterable<string>;
  /** A blob that is not there is no error. */
  delete(id: string): Promise<void>;
  /** Removes what an interrupted `put` left, once it is older than this. Answers with how many. */
  sweep(olderThanSeconds: number): Promise<number>;
}
