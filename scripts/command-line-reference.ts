import { readFile, writeFile } from 'node:fs/promises';
import { createProgram } from '../src/cli/program.ts';
import { bashCompletion } from './bash-completion.ts';
import { manualPage } from './manual-page.ts';

/** Writes the manual page of quay-build and its completion for bash from what `--help` shows; with `--check`, fails when they are not up to date. */

const program = createProgram(() => () => Promise.resolve());
const files = { 'quay-build.1': manualPage(program), 'quay-build.bash': bashCompletion(program) };

for (const [name, text] of Object.entries(files)) {
  const file = new URL(`../docs/reference/${name}`, import.meta.url);
  if (!process.argv.includes('--check')) await writeFile(file, text);
  else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(
      `docs/reference/${name} is not what the command line says: run node scripts/command-line-reference.ts`,
    );
    process.exitCode = 1;
  }
}
