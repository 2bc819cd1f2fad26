import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { buildErrorKinds } from '../../../src/contract/build-errors.ts';
import { problemKinds } from '../../../src/manager/http/problems.ts';

describe('docs/errors.md', () => {
  it.each(Object.entries({ ...buildErrorKinds, ...problemKinds }))(
    'documents %s, with what happened and what to do',
    async (code, { message, help }) => {
      const lines = (await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')).split('\n');
      const line = lines.find((each) => each.startsWith(`| \`${code}\` |`)) ?? '';
      expect(line).toContain(message);
      expect(line).toContain(help);
    },
  );
});
