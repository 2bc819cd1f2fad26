import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BuildError } from '../../../contract/build-errors.ts';
import { formatBytes } from '../../../contract/words.ts';

/**
 * bzip2 and xz are unpacked by the programs of these names: Node has neither, the libraries for them are slow or no longer kept, and a
 * process of its own can be bounded and ended.
 */
export type Decompressor = 'bzip2' | 'xz';

const MEMORY_MAX = 512 * 1024 * 1024;
/** What is kept of a program's complaint, in characters. */
const WORDS_KEPT = 300;

const ARGUMENTS: Readonly<Record<Decompressor, readonly string[]>> = {
  bzip2: ['--decompress', '--stdout'],
  xz: ['--decompress', '--stdout', '--threads=1', `--memlimit-decompress=${MEMORY_MAX}`],
};

/**
 * The content of a compressed file, as it is unpacked; the program ends with the reading. Throws a BuildError `dockerfileissue` where
 * the program is not installed, and `cannotextractbuildpack` for what it cannot unpack.
 */
export async function* decompress(
  program: Decompressor,
  path: string,
  call: { readonly searchPath: string; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  await using file = await open(path);
  const child = spawn(program, ARGUMENTS[program], {
    stdio: [file.fd, 'pipe', 'pipe'],
    cwd: dirname(path),
    env: { PATH: call.searchPath, LC_ALL: 'C' },
    signal: call.signal,
    killSignal: 'SIGKILL',
  });
  const failures: Error[] = [];
  child.on('error', (error) => failures.push(error));
  const closed = new Promise((resolve) => child.once('close', resolve));
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_KEPT);
  });
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    await closed;
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
  call.signal.throwIfAborted();
  const [failure] = failures;
  if (failure) throw notInstalled(program, failure);
  if (child.exitCode === 0) return;
  throw new BuildError(
    'cannotextractbuildpack',
    /memory/i.test(words)
      ? `The package needs more than ${formatBytes(MEMORY_MAX)} of memory to be unpacked. Pack it at a lower level.`
      : `The package is no ${program} file that can be read to its end (${lastLine(words)}). Pack it, or upload it, again.`,
  );
}

function notInstalled(program: Decompressor, cause: Error): BuildError {
  return new BuildError(
    'dockerfileissue',
    `The package is packed by ${program}, which this worker does not have. Send a tar, tar.gz or zip archive.`,
    { cause },
  );
}

function lastLine(words: string): string {
  const line = words.trim().split('\n').at(-1) ?? '';
  return line.replace(/^\S+: \(stdin\): |^bzip2: /, '');
}
