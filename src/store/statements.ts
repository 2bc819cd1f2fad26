import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A statement of `statements/`, prepared by its name once a connection, and the types of what it takes and gives. */
export interface Statement<Values extends readonly unknown[], Row> {
  readonly name: string;
  readonly text: string;
  /** Whether asking twice is as good as asking once: then a lost answer is asked for again. */
  readonly repeatable: boolean;
  /** Carries the types alone. */
  readonly types?: { readonly values: Values; readonly row: Row };
}

/** Loads a statement, when the program starts: a missing file is met then, and never later. */
export function statement<Values extends readonly unknown[], Row = unknown>(
  name: string,
  options: { readonly repeatable?: boolean } = {},
): Statement<Values, Row> {
  const text = readFileSync(join(import.meta.dirname, 'statements', `${name}.sql`), 'utf8');
  return { name, text, repeatable: options.repeatable ?? true };
}
