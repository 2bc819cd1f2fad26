import { globSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from 'vitest';

/** Every page of the project for people leads somewhere. */

const ROOT = resolve(import.meta.dirname, '../..');
const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: ROOT });

/** The anchors of a page, as GitHub names them. */
async function anchorsOf(page: string): Promise<string[]> {
  const text = (await readFile(join(ROOT, page), 'utf8')).replace(/^```.*?^```/gms, '');
  return Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it('finds the pages', () => {
  expect(PAGES).toEqual(
    expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'docs/api.md', 'docs/reference/worker.md']),
  );
});

it.each(PAGES)('%s links to files and headings that are there', async (page) => {
  const text = await readFile(join(ROOT, page), 'utf8');
  for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    await expect(access(join(ROOT, target)), link).resolves.toBeUndefined();
    if (anchor !== undefined) expect(await anchorsOf(target), link).toContain(anchor);
  }
});
