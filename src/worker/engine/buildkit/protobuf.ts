import protobuf from 'protobufjs';
import { schemas } from './schemas.ts';

/** The messages of BuildKit's APIs, by the schemas in `proto/`. Fields that are not in a schema are passed over. */

const root = new protobuf.Root();
for (const schema of schemas) protobuf.parse(schema, root);
root.resolveAll();

/** A 64-bit integer, in the form that protobufjs keeps it in. */
export interface Int64 {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

export interface Codec<Message> {
  /** Fields that are left out take their default. */
  encode(message: Partial<Message>): Uint8Array;
  /** Every field is there: one that was not sent has its default, of a message null. Throws for bytes that are no message. */
  decode(bytes: Uint8Array): Message;
}

function codec<Message>(name: string): Codec<Message> {
  const type = root.lookupType(name);
  return {
    encode: (message) => type.encode(message).finish(),
    // The schema is the check: protobufjs gives what is decoded the fields of the schema, and their types.
    decode: (bytes) => type.decode(bytes) as unknown as Message,
  };
}

export const credentialsRequest = codec<{ host: string }>('moby.filesync.v1.CredentialsRequest');
export const credentialsResponse = codec<{ username: string; secret: string }>(
  'moby.filesync.v1.CredentialsResponse',
);

export const getSecretRequest = codec<{ id: string }>('moby.buildkit.secrets.v1.GetSecretRequest');
export const getSecretResponse = codec<{ data: Uint8Array }>('moby.buildkit.secrets.v1.GetSecretResponse');

export const checkAgentRequest = codec<{ id: string }>('moby.sshforward.v1.CheckAgentRequest');
export const agentBytes = codec<{ data: Uint8Array }>('moby.sshforward.v1.BytesMessage');

export const healthCheckResponse = codec<{ status: number }>('grpc.health.v1.HealthCheckResponse');
/** `HealthCheckResponse.ServingStatus.SERVING` */
export const SERVING = 1;

export const packetTypes = { stat: 0, req: 1, data: 2, fin: 3, err: 4 } as const;

export interface Stat {
  readonly path: Uint8Array;
  /** Go's FileMode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** bytes */
  readonly size: Int64;
  /** nanoseconds since 1970 */
  readonly modTime: Int64;
  readonly linkName: Uint8Array;
}

export interface Packet {
  readonly type: number;
  readonly stat: Partial<Stat> | null;
  readonly id: number;
  readonly data: Uint8Array;
}
export const packet = codec<Packet>('fsutil.types.Packet');

/** Since 1970. */
export interface Time {
  readonly seconds: Int64;
  readonly nanos: number;
}

export interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly cached: boolean;
  readonly started: Time | null;
  readonly completed: Time | null;
  readonly error: string;
}

export interface VertexStatus {
  readonly id: string;
  readonly vertex: string;
  readonly name: string;
  readonly current: Int64;
  readonly total: Int64;
  readonly completed: Time | null;
}

export interface VertexLog {
  readonly vertex: string;
  readonly timestamp: Time | null;
  readonly stream: Int64;
  readonly msg: Uint8Array;
}

export interface StatusResponse {
  readonly vertexes: readonly Vertex[];
  readonly statuses: readonly VertexStatus[];
  readonly logs: readonly VertexLog[];
}
export const statusResponse = codec<StatusResponse>('moby.buildkit.v1.StatusResponse');

/** The number, exact up to 2^53. */
export function toNumber({ low, high }: Int64): number {
  return high * 4294967296 + (low >>> 0);
}

/** Milliseconds since 1970, to compare times by. */
export function toMilliseconds({ seconds, nanos }: Time): number {
  return toNumber(seconds) * 1000 + nanos / 1e6;
}

export function toInt64(value: bigint): Int64 {
  return {
    low: Number(BigInt.asIntN(32, value)),
    high: Number(BigInt.asIntN(32, value >> 32n)),
    unsigned: false,
  };
}

const writer = protobuf.Writer;
const VARINT = 0;
const BYTES = 2;

/**
 * The head of a DATA packet that `length` bytes follow. Written by hand so that what is read of a file goes to the socket
 * without being copied into a message.
 */
export function dataPacketHead(id: number, length: number): Uint8Array {
  return writer
    .create()
    .uint32((1 << 3) | VARINT)
    .uint32(packetTypes.data)
    .uint32((3 << 3) | VARINT)
    .uint32(id)
    .uint32((4 << 3) | BYTES)
    .uint32(length)
    .finish();
}
