/** Shorter values are not masked: they would hide ordinary words and thereby tell where they stand. */
const SECRET_MIN_LENGTH = 6;
const MASKED = '***';

/** Makes a function that replaces these secrets in a text, the longest first. */
export function createMask(secrets: readonly string[]): (text: string) => string {
  const values = [...new Set(secrets.map((secret) => secret.trim()))]
    .filter((secret) => secret.length >= SECRET_MIN_LENGTH)
    .sort((a, b) => b.length - a.length);
  if (values.length === 0) return (text) => text;
  const pattern = new RegExp(
    values.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'),
    'g',
  );
  return (text) => text.replace(pattern, MASKED);
}
