import { z } from 'zod';
import { isImageName, isRegistryHost, isTag, readTagReference } from './references.ts';
import { wholeNumber } from './whole-number.ts';

/** What a build may say of its own to its Dockerfile and image: the same in the HTTP API and in the build arguments. */

const ENTRIES_MAX = 100;

type TextEntries = z.ZodType<Record<string, string>, Record<string, string>>;

/** Texts by name, bounded together, in bytes: an error points at the entry whose name is wrong. */
function textEntries(name: RegExp, nameRule: string, maxBytes: number): TextEntries {
  return z.record(z.string(), z.string()).superRefine((entries, context) => {
    const all = Object.entries(entries);
    const bytes = all.reduce(
      (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
      0,
    );
    if (all.length > ENTRIES_MAX || bytes > maxBytes) {
      const message = `must be at most ${ENTRIES_MAX} entries of ${maxBytes} bytes together`;
      context.addIssue({ code: 'custom', message });
      return;
    }
    for (const [key] of all) {
      if (!name.test(key)) context.addIssue({ code: 'custom', message: nameRule, path: [key] });
    }
  });
}

/** What reaches the engine in the address of a request, which it bounds. */
const IN_ADDRESS_MAX_BYTES = 32_768;

/** By the name of an `ARG`. They are no secrets: the image's history shows them. */
export const buildArgsSchema = textEntries(
  /^[A-Za-z_]\w{0,255}$/,
  'must be the name of an ARG: letters, digits and _',
  IN_ADDRESS_MAX_BYTES,
);

/** Each line of a secret is looked for in each line of the log. */
const SECRET_LINES_MAX = 2000;
const SECRET_LINE_MAX_LENGTH = 16_384;

/** What steps mount by id: texts, since what is no text cannot be masked in a log. */
export const secretsSchema = textEntries(
  /^[A-Za-z0-9][\w.-]{0,127}$/,
  'must be the id of a secret: letters, digits, dots, dashes and _',
  131_072,
).superRefine(requireFewLines);

function requireFewLines(secrets: Record<string, string>, context: z.core.$RefinementCtx): void {
  const lines = Object.values(secrets).flatMap((value) => value.split('\n'));
  if (lines.length > SECRET_LINES_MAX || lines.some((line) => line.length > SECRET_LINE_MAX_LENGTH)) {
    const message = `must have at most ${SECRET_LINES_MAX} lines together, of ${SECRET_LINE_MAX_LENGTH} characters each`;
    context.addIssue({ code: 'custom', message });
  }
}

/** Each key has an agent of its own while the image is built. */
const SSH_KEYS_MAX = 16;
const PRIVATE_KEY = /^\s*-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\r?\n/;

/** The id of the key that a mount means which names none. */
export const DEFAULT_SSH_ID = 'default';

/** Private keys by the id by which steps mount an agent that holds them: without a passphrase, in the form of OpenSSH or PEM. */
export const sshKeysSchema = textEntries(
  /^[A-Za-z0-9][\w.-]{0,127}$/,
  'must be the id of an ssh key: letters, digits, dots, dashes and _',
  131_072,
)
  .superRefine(requireFewLines)
  .superRefine((keys, context) => {
    if (Object.keys(keys).length > SSH_KEYS_MAX) {
      context.addIssue({ code: 'custom', message: `must be at most ${SSH_KEYS_MAX} keys` });
    }
    for (const [id, key] of Object.entries(keys)) {
      if (PRIVATE_KEY.test(key)) continue;
      const message = 'must be a private key in the form of OpenSSH or PEM, all of its lines';
      context.addIssue({ code: 'custom', message, path: [id] });
    }
  });

/** A stage of the Dockerfile, by name or number; '' is the last. */
export const targetSchema = z
  .string()
  .regex(/^(?:[A-Za-z0-9][\w.-]{0,127})?$/, 'must be the name of a stage, or its number');

/** Of the image's configuration; they win over the Dockerfile's. */
export const labelsSchema = textEntries(
  /^[^\s\p{Cc}="\\]{1,256}$/u,
  'must be the name of a label, without spaces, quotes and =',
  IN_ADDRESS_MAX_BYTES,
);

/** `os/architecture[/variant]`; '' is the engine's own. */
export const platformSchema = z
  .string()
  .regex(
    /^(?:[a-z0-9]{1,32}\/[a-z0-9_]{1,32}(?:\/[a-z0-9.]{1,32})?)?$/,
    'must be os/architecture, as linux/arm64: one platform',
  );

const imageName = z
  .string()
  .refine(isImageName, 'must be the name of an image, as registry.example/team/app:cache');

/** Images whose layers may serve as cache. */
export const cacheFromSchema = z.array(imageName).max(16, 'must be at most 16 images');

/** Further tags of its repository that the image is pushed as, so that its layers may serve as cache. */
export const cacheToSchema = z
  .array(z.string().refine(isTag, 'must be a tag'))
  .max(4, 'must be at most 4 tags');

/** Where else the image is pushed: registries of others, each with who the build is there. */
export const pushToSchema = z
  .array(
    z.string().refine((text) => readTagReference(text) !== null, {
      message: 'must be a whole reference, as registry.example/team/app:v1',
    }),
  )
  .max(8, 'must be at most 8 references');

const MEMORY_MIN = 6 * 1024 * 1024;
const MEMORY_MAX = 2 ** 50;
const MEMORY_RULE = `must be a whole number of bytes, from ${MEMORY_MIN} (6 MiB) to ${MEMORY_MAX} (1 PiB)`;
const CPUS_MIN = 0.01;
const CPUS_MAX = 1024;
const CPUS_RULE = `must be a number from ${CPUS_MIN} to ${CPUS_MAX}`;

/** What each step may use at once, where the engine keeps it. */
export const limitsSchema = z.strictObject({
  memory: z
    .int(MEMORY_RULE)
    .min(MEMORY_MIN, MEMORY_RULE)
    .max(MEMORY_MAX, MEMORY_RULE)
    .optional()
    .meta({ description: 'bytes' }),
  cpus: z
    .number(CPUS_RULE)
    .min(CPUS_MIN, CPUS_RULE)
    .max(CPUS_MAX, CPUS_RULE)
    .optional()
    .meta({ description: 'CPUs, also parts of one' }),
});

/** In seconds. */
export const timeoutSchema = wholeNumber(1, 86_400, ' of seconds');

/** What steps are connected to; any but `host` is every build's. */
export const networkSchema = z.enum(['default', 'none', 'host']);

const REGISTRIES_MAX = 32;

/** Who a build is at registries, by host; each host is offered its own credentials alone. */
export const registryAuthSchema = z
  .record(
    z.string().refine(isRegistryHost, 'must be host or host:port'),
    z.strictObject({ username: z.string().min(1).max(256), password: z.string().min(1).max(16_384) }),
  )
  .refine(
    (hosts) => Object.keys(hosts).length <= REGISTRIES_MAX,
    `must be at most ${REGISTRIES_MAX} registries`,
  );
