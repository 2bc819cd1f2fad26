/** The bounds of the engine's room. Sizes in bytes, times in milliseconds. */
export const limits = {
  /** A call that moves nothing (inspect, tag, a session's upgrade) must be answered by then, else the engine is unreachable. */
  answerWithinMs: 60_000,
  /** One message of the engine's; a longer one fails the call. A burst of output comes as one message of BuildKit's. */
  messageBytes: 64 * 1024 * 1024,
  /** What is read of an answer that is an error; the rest is not needed for its message. */
  errorBytes: 65_536,
  /** How much of an instruction an error shows, in characters. */
  instructionLength: 200,

  /** One gRPC message to us; a longer one ends its call. */
  grpcMessageBytes: 4 * 1024 * 1024,
  /** What may wait in a call before it is handed to the socket. */
  grpcBatchBytes: 32_768,
  /** The headers of a call, which carry every pattern of a .dockerignore; a call with more is refused. */
  grpcHeaderBytes: 1024 * 1024,
  grpcHeaders: 65_536,

  /** Files of the context read at once, and how much of each is read at a time. */
  parallelReads: 6,
  readBytes: 256 * 1024,
  /** Files whose stats are asked for without a pause. */
  statsAtOnce: 256,
  /** Directories below each other in a context; a deeper one fails the build. */
  contextDepth: 512,
  /** Symlinks followed on the way of one path, as the engine counts them. */
  followedLinks: 255,
  /** A .dockerignore, or a Dockerfile outside of the context, that is larger fails the build. */
  buildFileBytes: 1024 * 1024,

  /** One message of the ssh agent protocol, as OpenSSH's agent bounds it; a longer one ends its connection. */
  agentMessageBytes: 256 * 1024,

  /** Steps and other work of one build that BuildKit reports; a build with more fails. */
  vertexes: 100_000,

  /** Empty reports of BuildKit's in a row that mean that no other will come. */
  emptyReports: 256,
  /** How long it is not read after so many. */
  silentPauseMs: 20,
  /** How long a build of which it tells nothing may go on. */
  silentMs: 15 * 60_000,

  /** How often the step of an aborted build is looked for where the engine lets it go on, at most, and how often in vain. */
  stepLooks: 40,
  quietStepLooks: 6,
  stepLookEveryMs: 25,
} as const;
