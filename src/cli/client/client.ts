import { Readable } from 'node:stream';
import { request } from 'undici';
import type { z } from 'zod';
import { problemSchema } from '../../contract/api.ts';
import { CliError, exitCodes, RefusedError } from '../failure.ts';
import { ANSWER_MAX, ANSWER_WITHIN_MS, SILENCE_MAX_MS } from '../limits.ts';

/** Where the manager is, and the token that it is shown. */
export interface ManagerAddress {
  readonly url: string;
  readonly token: string | null;
}

/** Calls of the manager's HTTP API. Each fails with a {@link CliError}. */
export interface ManagerClient {
  readonly url: string;
  /** A JSON answer, checked against its schema. */
  get<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>>;
  post<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>>;
  /** Has something made, unless it is there already: the status is 201, or 200. */
  create<S extends z.ZodType>(path: string, body: PostBody, schema: S): Promise<Created<z.output<S>>>;
  /** Sends a value as JSON. */
  put<S extends z.ZodType>(path: string, value: unknown, schema: S): Promise<z.output<S>>;
  delete(path: string): Promise<void>;
  /** An answer that is read as it comes. */
  stream(path: string, accept: string, signal?: AbortSignal): Promise<Readable>;
}

export interface PostBody {
  readonly contentType: string;
  readonly length: number;
  readonly content: string | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

export interface Created<T> {
  readonly value: T;
  /** `false`: it was there. */
  readonly isNew: boolean;
}

export function createClient({ url, token }: ManagerAddress): ManagerClient {
  const base = readBase(url);
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };

  const call = async (
    path: string,
    options: {
      method: 'GET' | 'POST' | 'PUT' | 'DELETE';
      accept: string;
      body?: PostBody;
      signal?: AbortSignal;
    },
  ): Promise<{ status: number; body: Readable }> => {
    const { body, signal = body?.signal } = options;
    let answer;
    try {
      answer = await request(base + path, {
        method: options.method,
        headersTimeout: ANSWER_WITHIN_MS,
        bodyTimeout: SILENCE_MAX_MS,
        headers: {
          ...headers,
          accept: options.accept,
          ...(body ? { 'content-type': body.contentType, 'content-length': String(body.length) } : {}),
        },
        body: body ? (typeof body.content === 'string' ? body.content : Readable.from(body.content)) : null,
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      if (signal?.aborted === true || error instanceof CliError) throw error;
      throw new CliError(
        exitCodes.manager,
        `The manager at ${url} cannot be reached: ${reason(error)}.`,
        'Check that it runs, and QUAY_BUILD_URL.',
        { cause: error },
      );
    }
    if (answer.statusCode < 300) return { status: answer.statusCode, body: answer.body };
    throw await refusal(answer.statusCode, answer.body, url);
  };

  const json = async <S extends z.ZodType>(
    { body }: { readonly body: Readable },
    schema: S,
  ): Promise<z.output<S>> => {
    const parsed = schema.safeParse(parseJson(await readText(body)));
    if (!parsed.success) throw notAManager(url);
    return parsed.data;
  };

  return {
    url,
    get: async (path, schema) =>
      json(await call(path, { method: 'GET', accept: 'application/json' }), schema),
    post: async (path, schema) =>
      json(await call(path, { method: 'POST', accept: 'application/json' }), schema),
    create: async (path, body, schema) => {
      const answer = await call(path, { method: 'POST', accept: 'application/json', body });
      return { value: await json(answer, schema), isNew: answer.status === 201 };
    },
    put: async (path, value, schema) => {
      const content = JSON.stringify(value);
      const body = { contentType: 'application/json', length: Buffer.byteLength(content), content };
      return json(await call(path, { method: 'PUT', accept: 'application/json', body }), schema);
    },
    delete: async (path) => {
      const { body } = await call(path, { method: 'DELETE', accept: 'application/json' });
      await readText(body);
    },
    stream: async (path, accept, signal) =>
      (await call(path, { method: 'GET', accept, ...(signal ? { signal } : {}) })).body,
  };
}

function readBase(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CliError(
      exitCodes.usage,
      `QUAY_BUILD_URL is not an http or https URL: ${text}`,
      'Set it as in QUAY_BUILD_URL=http://127.0.0.1:8686.',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new CliError(
      exitCodes.usage,
      'QUAY_BUILD_URL has a user or a password in it, which errors would show.',
      'Leave them out: the manager is shown the token of QUAY_BUILD_TOKEN.',
    );
  }
  return url.href.replace(/\/+$/, '');
}

async function refusal(status: number, body: Readable, url: string): Promise<CliError> {
  const problem = problemSchema.safeParse(parseJson(await readText(body)));
  return problem.success ? new RefusedError(status, problem.data) : notAManager(url);
}

function notAManager(url: string): CliError {
  return new CliError(
    exitCodes.manager,
    `What answers at ${url} does not speak as a quay-build-manager does.`,
    'Check QUAY_BUILD_URL, and that manager and command line are of one version.',
  );
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_MAX) throw new CliError(exitCodes.manager, 'The answer of the manager is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'its name is unknown',
  EAI_AGAIN: 'its name cannot be looked up',
  ETIMEDOUT: 'it does not answer',
  ECONNRESET: 'it closed the connection',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer',
  UND_ERR_SOCKET: 'it closed the connection',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS, so that its URL begins with http://',
};

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (error instanceof Error && error.message !== '' ? error.message : code);
}
