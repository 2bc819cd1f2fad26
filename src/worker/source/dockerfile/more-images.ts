/**
 * Engines read a Dockerfile each in their own way: which lines are a heredoc's, which character escapes, what counts as a space. An image
 * that only the engine sees would be taken as it lies there, whoever may pull it. All that names one has the letters FROM.
 */

/** What Go counts as spaces at the beginning of a line. */
const COMMENT = /^[\t\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*#/;
/** What may stand between these letters, and is no part of them: quotes, escapes, ends of lines. */
const BETWEEN = /["'`\\\s\u0085]/g;

/** How often the letters FROM are in a text, of any case, whatever a reader of Dockerfiles leaves out between them. */
export function countFrom(text: string): number {
  const said = text.split('\n').filter((line) => !COMMENT.test(line));
  return said.join('').replace(BETWEEN, '').match(/from/gi)?.length ?? 0;
}
