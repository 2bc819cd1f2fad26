import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import { ROOT } from './bundling.ts';
import { lockedPackages, nameAt, type Package } from './license-policy.ts';

/** What has to come along with the packages of a bundle: who made them, and their licences' text. */

const HEAD = 'This program contains the packages below, each under the licence that follows its name.\n';
const LINE = '='.repeat(80);
/** For packages without a text of their own. */
const COMMON_TEXTS: Readonly<Record<string, string>> = { ISC: 'ISC.txt', MIT: 'MIT.txt' };

/** The packages of which something is in a bundle, by name, each version once. */
export async function bundledPackages(metafile: Metafile): Promise<Package[]> {
  const paths = new Set(
    Object.values(metafile.outputs).flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([input, { bytesInOutput }]) => {
        const path = /node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
        return path !== undefined && bytesInOutput > 0 ? path : [];
      }),
    ),
  );
  const locked = new Map((await lockedPackages(ROOT)).map((each) => [each.path, each]));
  const found = [...paths].map((path) => {
    const each = locked.get(path);
    if (!each) throw new Error(`${path} is in a bundle, but not in package-lock.json`);
    return [`${each.name} ${each.version}`, each] as const;
  });
  return [...new Map(found).values()].sort(
    (a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version),
  );
}

/** The text that goes with a bundle, with more of such texts, by what they are for. */
export async function noticesOf(
  metafile: Metafile,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const packages = await bundledPackages(metafile);
  const parts = await Promise.all(
    packages.map(async (each) => {
      const license = each.license ?? 'an unknown licence';
      return part(`${each.name} ${each.version} (${license})`, await licenseTextOf(each));
    }),
  );
  const others = Object.entries(more).map(([what, text]) => part(what, text));
  return [HEAD, ...others, ...parts].join('\n');
}

function part(title: string, text: string): string {
  return `${LINE}\n${title}\n${LINE}\n\n${text.trim()}\n`;
}

/** A package's own words: the files that it has for them, else that chapter of its README, else the common text of its licence. */
async function licenseTextOf({ path, license }: Package): Promise<string> {
  const directory = join(ROOT, path);
  const names = (await readdir(directory)).sort();
  const files = names.filter((name) => /^(?:licen[cs]e|copying|notice)/i.test(name));
  if (files.length > 0)
    return (await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')))).join('\n');
  const readme = names.find((name) => /^readme/i.test(name));
  const chapter =
    readme === undefined ? null : licenseChapter(await readFile(join(directory, readme), 'utf8'));
  if (chapter !== null) return chapter;
  const common = COMMON_TEXTS[license ?? ''];
  if (common === undefined) throw new Error(`${nameAt(path)} comes without the text of its licence`);
  const { author, homepage } = JSON.parse(
    await readFile(join(directory, 'package.json'), 'utf8'),
  ) as PackageFile;
  const by = typeof author === 'object' ? author.name : author;
  const text = await readFile(join(ROOT, 'licenses', common), 'utf8');
  return [by && `Copyright (c) ${by}`, homepage, text].filter(Boolean).join('\n\n');
}

interface PackageFile {
  readonly author?: string | { readonly name?: string };
  readonly homepage?: string;
}

/** The chapter of a README that has the text of a licence, without its heading. */
function licenseChapter(readme: string): string | null {
  const chapter = /^#+ *licen[cs]e\b.*\n([\s\S]*?)(?=^#|$(?![\s\S]))/im.exec(readme)?.[1]?.trim();
  return chapter !== undefined && /permission|redistribution/i.test(chapter) ? chapter : null;
}
