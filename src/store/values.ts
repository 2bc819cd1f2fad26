import pg from 'pg';

/** How values travel between TypeScript and PostgreSQL. */

/** As `pg` reads them, but `bigint` as a number: a string would be met in arithmetic. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    // eslint-disable-next-line @typescript-eslint/no-unsafe-return -- pg types its parsers as any.
    oid === pg.types.builtins.INT8 ? safeInteger : pg.types.getTypeParser(oid, format),
};

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is more than a number can count.`);
  return value;
}

/** Renames the columns of a row: `tag_names` becomes `tagNames`. */
export function camelCaseRow(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

/** Text that PostgreSQL can keep: NUL and lone surrogates, which it refuses, become U+FFFD. */
export function keepableText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}

/** JSON for a `jsonb` column, its texts keepable; null stays null. */
export function toJsonb(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'string' ? keepableText(each) : each));
}
