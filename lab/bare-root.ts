import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { librariesOf } from './libraries.ts';

/** Makes a root folder that holds nothing but a program, at its top, the libraries that it is linked with, and an empty `/tmp`. */
export async function makeBareRoot(directory: string, program: string): Promise<void> {
  const temporary = join(directory, 'tmp');
  await mkdir(temporary, { recursive: true });
  await chmod(temporary, 0o1777);
  await copyFile(program, join(directory, basename(program)));
  for (const library of await librariesOf([program])) {
    await mkdir(join(directory, dirname(library)), { recursive: true });
    await copyFile(library, join(directory, library));
  }
}
