import type { z } from 'zod';

/** What a text must be so that a database, a program and a file's name can hold it. */
export const PLAIN_TEXT_RULE = 'must be text, without NUL characters and halves of surrogate pairs';

/** Whether every database, program and file name can hold it: PostgreSQL takes no NUL, and UTF-8 no half of a pair. */
export function isPlainText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/** Refuses what is not plain text anywhere within a value, pointing at it: at the whole where the name of a part is wrong. */
export function requirePlainTexts(value: unknown, context: z.core.$RefinementCtx): void {
  const look = (part: unknown, path: readonly string[]): void => {
    const isWrong =
      typeof part === 'string'
        ? !isPlainText(part)
        : isObject(part) && Object.keys(part).some((name) => !isPlainText(name));
    if (isWrong) context.addIssue({ code: 'custom', message: PLAIN_TEXT_RULE, path: [...path] });
    else if (isObject(part)) for (const [name, inner] of Object.entries(part)) look(inner, [...path, name]);
  };
  look(value, []);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
