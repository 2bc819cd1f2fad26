import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { LogPosition, LogRecord } from '../contract/api.ts';
import type { Database } from './database.ts';
import { fence, type Fence } from './fence.ts';
import { gather } from './gather.ts';
import {
  LOG_APPENDS_TOGETHER,
  LOG_CHUNK_CHARACTERS,
  LOG_CHUNK_RECORDS,
  LOG_FOLLOW_CHUNKS,
  LOG_READ_CHUNKS,
  LOG_READS_TOGETHER,
} from './limits.ts';
import type { BlobStore } from './ports/blobs.ts';
import type { Lease } from './ports/leases.ts';
import type { LogStore } from './ports/logs.ts';
import { statement } from './statements.ts';

const appendChunks = statement<
  [
    buildIds: string[],
    numbers: number[],
    tokens: string[],
    firstSeqs: number[],
    lastSeqs: number[],
    records: string[],
    lastMessages: number[],
  ],
  { buildId: string; try: number; lastSeq: number }
>('append-log-chunks');
const hearTry = statement<[...Fence, message: number]>('hear-try');
const lastLogSeq = statement<Fence, { lastLogSeq: number }>('last-log-seq');
const readLogChunks = statement<
  [buildIds: string[], afterTries: number[], afterSeqs: number[], limit: number],
  StoredChunk & { place: number }
>('read-log-chunks');

/** A chunk, or where in a blob it is packed. */
type StoredChunk =
  | { readonly try: number; readonly records: string }
  | {
      readonly try: number;
      readonly records: null;
      readonly blobId: string;
      readonly start: number;
      readonly length: number;
    };

const unpackChunk = promisify(gunzip);

/** A record, and the number of the worker's message that it is of; 0 where they have none. */
interface Told {
  readonly record: LogRecord;
  readonly message: number;
}

/** How a record lies in its chunk: without its names, and without its try, which is the chunk's. */
type StoredRecord = [
  seq: number,
  time: string,
  phase: LogRecord['phase'],
  step: number | null,
  stream: LogRecord['stream'],
  text: string,
  progress?: LogRecord['progress'],
];

/** Records of one try that are stored together. */
interface Chunk {
  readonly length: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly records: string;
  readonly lastMessage: number;
}

interface ChunksAfter {
  readonly chunks: readonly StoredChunk[];
  /** Whether there may be more. */
  readonly more: boolean;
}

/** The port's implementation. */
export function createLogStore({ run }: Database, blobs: Pick<BlobStore, 'read'>): LogStore {
  /** Answers whether it was stored. Logs that are written side by side share a commit. */
  const appendChunk = gather<{ lease: Lease; chunk: Chunk }, boolean>({
    most: LOG_APPENDS_TOGETHER,
    keyOf: ({ lease }) => `${lease.buildId} ${lease.try}`,
    ask: async (given) => {
      const stored = await run(appendChunks, [
        given.map(({ lease }) => lease.buildId),
        given.map(({ lease }) => lease.try),
        given.map(({ lease }) => lease.token),
        given.map(({ chunk }) => chunk.firstSeq),
        given.map(({ chunk }) => chunk.lastSeq),
        given.map(({ chunk }) => chunk.records),
        given.map(({ chunk }) => chunk.lastMessage),
      ]);
      const tries = new Set(stored.map((row) => `${row.buildId} ${row.try}`));
      return given.map(({ lease }) => tries.has(`${lease.buildId} ${lease.try}`));
    },
  });

  const chunksAfter = gather<{ buildId: string; after: LogPosition }, ChunksAfter>({
    most: LOG_READS_TOGETHER,
    ask: async (given) => {
      // Who reads by himself reads a whole log; who reads with others follows, and is not far behind.
      const limit = given.length === 1 ? LOG_READ_CHUNKS : LOG_FOLLOW_CHUNKS;
      const rows = await run(readLogChunks, [
        given.map(({ buildId }) => buildId),
        given.map(({ after }) => after.try),
        given.map(({ after }) => after.seq),
        limit,
      ]);
      const answers = given.map((): StoredChunk[] => []);
      for (const row of rows) answers[row.place - 1]?.push(row);
      return answers.map((chunks) => ({ chunks, more: chunks.length === limit }));
    },
  });

  const readChunks = async (
    buildId: string,
    after: LogPosition,
  ): Promise<{ chunks: { try: number; records: StoredRecord[] }[]; more: boolean }> => {
    const { chunks, more } = await chunksAfter({ buildId, after });
    const unpacked = chunks.map(async (chunk) => {
      if (chunk.records !== null) {
        return { try: chunk.try, records: JSON.parse(chunk.records) as StoredRecord[] };
      }
      const packed = await blobs.read(chunk.blobId, chunk);
      // Deleted since the chunk was looked up: its time was over.
      if (packed === null) return { try: chunk.try, records: [] };
      return {
        try: chunk.try,
        records: JSON.parse((await unpackChunk(packed)).toString()) as StoredRecord[],
      };
    });
    return { chunks: await Promise.all(unpacked), more };
  };
  /** The last `seq` stored, or null when the try has ended. */
  const last = async (lease: Lease): Promise<number | null> => {
    const [row] = await run(lastLogSeq, fence(lease));
    return row?.lastLogSeq ?? null;
  };

  return {
    async append(lease, records, messages = []) {
      let rest = records.map((record, index): Told => ({ record, message: messages[index] ?? 0 }));
      let stored: number | null = null;
      while (rest.length > 0) {
        const chunk = nextChunk(rest);
        if (await appendChunk({ lease, chunk })) {
          stored = chunk.lastSeq;
          rest = rest.slice(chunk.length);
          continue;
        }
        const known = await last(lease);
        if (known === null) return null;
        stored = known;
        rest = rest.filter(({ record }) => record.seq > known);
      }
      return stored ?? last(lease);
    },

    async heard(lease, message) {
      return (await run(hearTry, [...fence(lease), message])).length > 0;
    },

    async read(buildId, after, limit) {
      const records: LogRecord[] = [];
      let position = after;
      for (;;) {
        const { chunks, more } = await readChunks(buildId, position);
        for (const chunk of chunks) {
          for (const stored of chunk.records) {
            // A position may lie within a chunk.
            if (chunk.try === position.try && stored[0] <= position.seq) continue;
            if (records.length === limit) return { records, more: true };
            records.push(unpack(chunk.try, stored));
          }
        }
        const newest = records.at(-1);
        if (!more || !newest) return { records, more: false };
        position = newest;
      }
    },
  };
}

/** As many of the records as a chunk holds, at least one, and all of one message: it is stored, or it is told again. */
function nextChunk(told: readonly Told[]): Chunk {
  const packed: string[] = [];
  let characters = 0;
  for (const [index, { record, message }] of told.entries()) {
    const text = JSON.stringify(pack(record));
    characters += text.length;
    const isFull = packed.length >= LOG_CHUNK_RECORDS || characters > LOG_CHUNK_CHARACTERS;
    const before = told[index - 1];
    if (isFull && before && (message === 0 || message !== before.message)) break;
    packed.push(text);
  }
  const last = told[packed.length - 1];
  return {
    length: packed.length,
    firstSeq: told[0]?.record.seq ?? 0,
    lastSeq: last?.record.seq ?? 0,
    records: `[${packed.join(',')}]`,
    lastMessage: last?.message ?? 0,
  };
}

function pack({ seq, time, phase, step, stream, text, progress }: LogRecord): StoredRecord {
  return progress ? [seq, time, phase, step, stream, text, progress] : [seq, time, phase, step, stream, text];
}

function unpack(number: number, stored: StoredRecord): LogRecord {
  const [seq, time, phase, step, stream, text, progress] = stored;
  return { try: number, seq, time, phase, step, stream, text, ...(progress ? { progress } : {}) };
}
