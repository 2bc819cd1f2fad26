import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, 'proto');

/** What is in `proto/`. A bundle has the text itself in this file's place (`scripts/bundle.ts`): a single executable has no folder. */
export const schemas: readonly string[] = readdirSync(FOLDER).map((name) =>
  readFileSync(join(FOLDER, name), 'utf8'),
);
