import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import spdxSatisfies from 'spdx-satisfies';

/** Which licences the packages that this project uses may have, and what theirs are. */

/** Each lets its software be part of one that is under Apache-2.0. */
const ALLOWED = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PostgreSQL',
  'Python-2.0',
  'Unlicense',
  'Zlib',
];

/** Tools that may have another one, and why. A name ends in `*` where several begin so. Nothing of them may be shipped. */
export const EXCEPTIONS: Readonly<Record<string, { readonly license: string; readonly reason: string }>> = {
  'lightningcss*': {
    license: 'MPL-2.0',
    reason: 'a part of what runs the tests, used as it is',
  },
  'spdx-exceptions': { license: 'CC-BY-3.0', reason: 'a list that the check of licences reads' },
  'spdx-ranges': { license: '(MIT AND CC-BY-3.0)', reason: 'a list that the check of licences reads' },
};

/** What some packages say before SPDX, or beside it, means. A name, as it is installed, and the expression. */
const MEANT: Readonly<Record<string, string>> = {
  buildcheck: 'MIT',
  'cpu-features': 'MIT',
  ssh2: 'MIT',
};

export interface Package {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression, or what the package says in its place; null when it says nothing. */
  readonly license: string | null;
  /** Where it is, or would be, installed; relative to the folder of the lock file. */
  readonly path: string;
}

interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly license?: string; readonly link?: boolean }>
  >;
}

/** All packages of a folder's `package-lock.json`, also those that are for other machines, by what npm wrote there of each. */
export async function lockedPackages(directory: string): Promise<Package[]> {
  const lock = JSON.parse(await readFile(join(directory, 'package-lock.json'), 'utf8')) as LockFile;
  return Object.entries(lock.packages)
    .filter(([path, { link }]) => path !== '' && link !== true)
    .map(([path, { version = '', license }]) => {
      const name = nameAt(path);
      return { name, version, license: license ?? MEANT[name] ?? null, path };
    });
}

/** The package that is installed at a path. */
export function nameAt(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length) || basename(path);
}

/** What is wrong with the licences of these packages, a line each; exceptions are for those that are not shipped. */
export function licenseProblems(packages: readonly Package[], shipped: readonly Package[] = []): string[] {
  const isTool = (name: string): boolean => !shipped.some((each) => each.name === name);
  return packages.flatMap(({ name, version, license }) => {
    if (license === null) return `${name} ${version} does not say what its licence is`;
    if (isAllowed(license) || (isTool(name) && exceptionOf(name)?.license === license)) return [];
    return `${name} ${version} is under ${license}, which is not among the allowed licences (scripts/license-policy.ts)`;
  });
}

function exceptionOf(name: string): { readonly license: string } | undefined {
  return Object.entries(EXCEPTIONS).find(([pattern]) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  )?.[1];
}

function isAllowed(license: string): boolean {
  try {
    return spdxSatisfies(license, ALLOWED);
  } catch {
    // No expression of SPDX, as "SEE LICENSE IN …".
    return false;
  }
}
