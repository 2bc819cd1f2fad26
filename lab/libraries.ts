import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** The files that programs are linked with, by the dynamic linker's own word. */
export async function librariesOf(programs: readonly string[]): Promise<readonly string[]> {
  // It fails when one of them is linked statically, and has told of the others.
  const { stdout } = await execFileAsync('ldd', [...programs]).catch(
    (error: unknown) => error as { stdout: string },
  );
  return [...new Set([...stdout.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path = '']) => path))];
}
