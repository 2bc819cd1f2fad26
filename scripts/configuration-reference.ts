import { readFile, writeFile } from 'node:fs/promises';
import { configurationReference } from '../src/contract/configuration.ts';
import { managerConfiguration } from '../src/manager/config.ts';
import { workerConfiguration } from '../src/worker/config.ts';

/** Writes docs/reference/{worker,manager}.md from the settings' schemas; with `--check`, fails when a file is not up to date. */

const references = [
  { path: 'docs/reference/worker.md', text: configurationReference(workerConfiguration) },
  { path: 'docs/reference/manager.md', text: configurationReference(managerConfiguration) },
];
const root = new URL('../', import.meta.url);

for (const { path, text } of references) {
  const file = new URL(path, root);
  if (!process.argv.includes('--check')) await writeFile(file, text);
  else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(`${path} is not what the schema says: run node scripts/configuration-reference.ts`);
    process.exitCode = 1;
  }
}
