import { z } from 'zod';
import { namespaceSchema } from '../../contract/api.ts';
import { FileTooLarge, readBounded } from '../../contract/bounded-file.ts';
import { SETTINGS_FILE_MAX_BYTES } from '../../contract/configuration.ts';
import { extensionNames } from '../../contract/extensions.ts';
import { workerLabelsSchema } from '../../contract/worker-labels.ts';
import {
  CAPACITY_MAX,
  EXECUTORS_MAX,
  LIFETIME_DEFAULT_SECONDS,
  LIFETIME_MAX_SECONDS,
  SETUP_DEFAULT_SECONDS,
  SETUP_MAX_SECONDS,
} from './limits.ts';

/** The executors that an operator has described (`EXECUTORS_FILE`), in their order of fallback. docs/executors.md has it in words. */

/** What the manager itself says to a worker. */
const RESERVED = new Set(['REALM', 'TOKEN', 'TOKEN_FILE', 'SERVER', 'ENDPOINT', 'WORKER_ID', 'CONCURRENCY']);

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

const environmentSchema = z
  .record(z.string(), z.string().max(32_768))
  .superRefine((variables, context) => {
    for (const [name, text] of Object.entries(variables)) {
      const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
      if (!VARIABLE.test(name)) refuse('has a name that is no name of a variable');
      else if (RESERVED.has(name)) refuse(`${name} is what the manager itself tells its workers`);
      else if (text.includes('\0')) refuse(`${name} must have no NUL`);
    }
  })
  .default({});

const absolutePath = z
  .string()
  .max(4096)
  .regex(/^\/[^:\0]*$/, 'must be an absolute path without a colon');

const common = {
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be up to 32 lower-case letters, digits and dashes'),
  capacity: z.int().min(1).max(CAPACITY_MAX),
  namespaces: z.array(namespaceSchema).min(1).max(1000).nullable().default(null),
  labels: workerLabelsSchema.default({}),
  extensions: z
    .array(z.enum(extensionNames))
    .max(extensionNames.length)
    .default([...extensionNames]),
  setup_seconds: z.int().min(1).max(SETUP_MAX_SECONDS).default(SETUP_DEFAULT_SECONDS),
  lifetime_seconds: z.int().min(1).max(LIFETIME_MAX_SECONDS).default(LIFETIME_DEFAULT_SECONDS),
  server: z
    .url({ protocol: /^wss?$/ })
    .refine((url) => !url.includes('@'), 'must be without a user')
    .nullable()
    .default(null),
  environment: environmentSchema,
};

const executorEntrySchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('process'), ...common }),
  z.strictObject({
    type: z.literal('container'),
    ...common,
    image: z
      .string()
      .max(512)
      .regex(/^[A-Za-z0-9][\w./:@-]*$/, 'must be the name of an image'),
    engine: z
      .string()
      .regex(/^unix:\/\/\/[^:\0]+$/, 'must be unix:///path')
      .max(4096)
      .default('unix:///var/run/docker.sock'),
    socket: absolutePath.nullable().default('/var/run/docker.sock'),
    network: z
      .string()
      .regex(/^[A-Za-z0-9][\w.-]{0,127}$/, 'must be the name of a network')
      .nullable()
      .default(null),
    memory_bytes: z
      .int()
      .min(6 * 1024 ** 2)
      .nullable()
      .default(null),
    cpus: z.number().min(0.01).max(1024).nullable().default(null),
    processes: z.int().min(1).max(4_194_304).nullable().default(null),
  }),
]);

/** An executor as it stands in the file. */
export type ExecutorEntry = z.output<typeof executorEntrySchema>;

const executorsFileSchema = z.array(executorEntrySchema).min(1).max(EXECUTORS_MAX);

/** An executors file, or an executor of it, that cannot be used. The message says what to do, and repeats no value of the file. */
export class ExecutorsError extends Error {
  override readonly name = 'ExecutorsError';
}

/**
 * Reads an executors file, whole and checked.
 *
 * @throws ExecutorsError
 */
export async function readExecutorsFile(path: string): Promise<readonly ExecutorEntry[]> {
  let content: unknown;
  try {
    content = JSON.parse((await readBounded(path, SETTINGS_FILE_MAX_BYTES)).toString('utf8'));
  } catch (error) {
    // A JSON parser quotes what it read, which may be a secret.
    const what = error instanceof SyntaxError ? 'it is not JSON' : codeOf(error);
    throw new ExecutorsError(`EXECUTORS_FILE: ${path} cannot be read: ${what}`);
  }
  const parsed = executorsFileSchema.safeParse(content);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path: at, message }) =>
      [...(at.length === 0 ? [] : [at.join('.')]), message].join(': '),
    );
    throw new ExecutorsError(
      `EXECUTORS_FILE: ${path}: ${wrong.join('; ')}; it must be a list like ` +
        '[{"name":"local","type":"process","capacity":2}], as docs/executors.md describes it',
    );
  }
  const names = parsed.data.map(({ name }) => name);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined)
    throw new ExecutorsError(`EXECUTORS_FILE: ${path}: the name ${double} is there twice`);
  return parsed.data;
}

function codeOf(error: unknown): string {
  if (error instanceof FileTooLarge) return error.message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be opened';
}
