import { DEFAULT_SSH_ID } from '../../../contract/build-options.ts';
import type { SshAgent } from '../engine.ts';
import { limits } from '../limits.ts';
import { GrpcError, grpcStatus, unary, type GrpcCall, type GrpcHandler } from './grpc.ts';
import { agentBytes, checkAgentRequest } from './protobuf.ts';

/**
 * `moby.sshforward.v1.SSH`: agents of ours that steps mount as a socket. Nothing but questions after keys and signatures gets
 * through (draft-ietf-sshm-ssh-agent, "Protocol messages"): a step could else change what an agent holds, or have it load a library.
 */
export function sshService(agents: ReadonlyMap<string, SshAgent>): readonly [string, GrpcHandler][] {
  const agentOf = (id: string): SshAgent => {
    const name = id === '' ? DEFAULT_SSH_ID : id;
    const agent = agents.get(name);
    if (!agent) throw new GrpcError(grpcStatus.notFound, `this build was given no ssh key ${name}`);
    return agent;
  };
  return [
    [
      '/moby.sshforward.v1.SSH/CheckAgent',
      unary((request) => {
        agentOf(checkAgentRequest.decode(request).id);
        return new Uint8Array();
      }),
    ],
    [
      '/moby.sshforward.v1.SSH/ForwardAgent',
      (call) => forward(call, agentOf(call.metadata('buildkit.ssh.id')[0] ?? '')),
    ],
  ];
}

const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
/** `SSH_AGENT_FAILURE`, as a whole message. */
const FAILURE = Buffer.of(0, 0, 0, 1, 5);

/** One question after the other, so that answers come in order. */
async function forward(call: GrpcCall, agent: SshAgent): Promise<void> {
  const connection = agent.connect();
  // What it errs with is met where its answers are read.
  connection.on('error', () => undefined);
  const answers = agentMessages(connection as AsyncIterable<Buffer>);
  try {
    for await (const question of agentMessages(bytesOf(call.messages))) {
      const type = question[LENGTH_BYTES];
      const passes = type === REQUEST_IDENTITIES || type === SIGN_REQUEST;
      if (passes) connection.write(question);
      const answer = passes ? await answers.next() : { done: false as const, value: FAILURE };
      if (answer.done === true) return;
      await call.send(agentBytes.encode({ data: answer.value }));
    }
  } finally {
    connection.destroy();
  }
}

async function* bytesOf(messages: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  for await (const message of messages) yield Buffer.from(agentBytes.decode(message).data);
}

const LENGTH_BYTES = 4;

/** Cuts a stream of bytes into messages, each with its length before it. Throws a GrpcError at one that is too long. */
async function* agentMessages(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let kept: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    while (kept.length >= LENGTH_BYTES) {
      const length = kept.readUInt32BE();
      if (length > limits.agentMessageBytes) {
        throw new GrpcError(
          grpcStatus.resourceExhausted,
          `a message to the ssh agent has more than ${limits.agentMessageBytes} bytes`,
        );
      }
      const end = LENGTH_BYTES + length;
      if (kept.length < end) break;
      yield kept.subarray(0, end);
      kept = kept.subarray(end);
    }
  }
}
