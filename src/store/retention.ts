import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Database } from './database.ts';
import { DELETED_AT_ONCE, LOG_READ_CHUNKS, ORPHANS_AT_ONCE } from './limits.ts';
import type { BlobStore } from './ports/blobs.ts';
import type { RetentionStore } from './ports/retention.ts';
import { statement } from './statements.ts';

interface EndedTry {
  readonly buildId: string;
  readonly try: number;
}

/** Where a chunk lies in the blob of its try, in bytes. */
interface ArchivedChunk {
  readonly last_seq: number;
  readonly start: number;
  readonly length: number;
}

const listTriesToArchive = statement<[endedSeconds: number, limit: number], EndedTry>(
  'list-tries-to-archive',
);
const readTryChunks = statement<
  [buildId: string, number: number, afterSeq: number, limit: number],
  { lastSeq: number; records: string }
>('read-try-chunks');
const archiveLog = statement<
  [buildId: string, number: number, blobId: string | null, size: number, chunks: string],
  { buildId: string }
>('archive-log', { repeatable: false });
const condemnLogArchives = statement<
  [keepSeconds: number, keepBytes: number, limit: number],
  { blobId: string }
>('condemn-log-archives');
const condemnOfOldBuilds = statement<[endedSeconds: number, limit: number]>(
  'condemn-log-archives-of-old-builds',
);
const forgetLogArchives = statement<[blobIds: readonly string[]]>('forget-log-archives');
const deleteOldBuilds = statement<[endedSeconds: number, limit: number], { id: string }>('delete-old-builds');
const deleteOldAudit = statement<[keepSeconds: number, keepEntries: number, limit: number], { id: number }>(
  'delete-old-audit',
);
const findUnknownBlobs = statement<[ids: readonly string[]], { id: string }>('find-unknown-blobs');

const pack = promisify(gzip);

/** The port's implementation. */
export function createRetentionStore({ run }: Database, blobs: BlobStore): RetentionStore {
  const archive = async ({ buildId, try: number }: EndedTry): Promise<void> => {
    const chunks: ArchivedChunk[] = [];
    const content = async function* (): AsyncGenerator<Buffer> {
      let start = 0;
      for (let afterSeq = 0; ;) {
        const page = await run(readTryChunks, [buildId, number, afterSeq, LOG_READ_CHUNKS]);
        for (const { lastSeq, records } of page) {
          const packed = await pack(records);
          chunks.push({ last_seq: lastSeq, start, length: packed.length });
          start += packed.length;
          afterSeq = lastSeq;
          yield packed;
        }
        if (page.length < LOG_READ_CHUNKS) return;
      }
    };
    const { id, size } = await blobs.put(Readable.from(content()), { maxBytes: Infinity });
    const blobId = chunks.length === 0 ? null : id;
    const [archived] = await run(archiveLog, [buildId, number, blobId, size, JSON.stringify(chunks)]);
    if (!archived || blobId === null) await blobs.delete(id);
  };

  return {
    async archiveLogs({ endedSeconds, limit }) {
      const ended = await run(listTriesToArchive, [endedSeconds, limit]);
      for (const each of ended) await archive(each);
      return ended.length;
    },
    async deleteLogs({ keepSeconds, keepBytes }) {
      const rows = await run(condemnLogArchives, [keepSeconds, keepBytes, DELETED_AT_ONCE]);
      const condemned = rows.map(({ blobId }) => blobId);
      for (const id of condemned) await blobs.delete(id);
      if (condemned.length > 0) await run(forgetLogArchives, [condemned]);
      return condemned.length;
    },
    async deleteBuilds({ endedSeconds, limit }) {
      await run(condemnOfOldBuilds, [endedSeconds, limit]);
      return (await run(deleteOldBuilds, [endedSeconds, limit])).length;
    },
    async deleteAudit({ keepSeconds, keepEntries, limit }) {
      return (await run(deleteOldAudit, [keepSeconds, keepEntries, limit])).length;
    },
    async deleteOrphans(olderThanSeconds) {
      let deleted = 0;
      let ids: string[] = [];
      const look = async (): Promise<void> => {
        for (const { id } of await run(findUnknownBlobs, [ids])) {
          await blobs.delete(id);
          deleted += 1;
        }
        ids = [];
      };
      for await (const id of blobs.list(olderThanSeconds)) {
        ids.push(id);
        if (ids.length === ORPHANS_AT_ONCE) await look();
      }
      await look();
      return deleted;
    },
  };
}
