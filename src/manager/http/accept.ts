const ACCEPTED = /^\s*([\w*+.-]+\/[\w*+.-]+)\s*(?:;(.*))?$/;
const QUALITY = /(?:^|;)\s*q=([\d.]+)/;

/** The media type that `Accept` likes best (RFC 9110, section 12.5.1), the first of them where it does not care, or null. */
export function chooseMediaType<T extends string>(
  accept: string | undefined,
  types: readonly [T, ...T[]],
): T | null {
  if (accept === undefined || accept.trim() === '') return types[0];
  const ranges = accept.split(',').flatMap((part) => {
    const match = ACCEPTED.exec(part);
    return match ? [{ range: match[1] ?? '', quality: Number(QUALITY.exec(match[2] ?? '')?.[1] ?? 1) }] : [];
  });
  let best: { type: T; quality: number } | null = null;
  for (const type of types) {
    // The most exact range that fits decides.
    const fits = [type, `${type.slice(0, type.indexOf('/'))}/*`, '*/*'];
    const range = fits.map((name) => ranges.find((each) => each.range === name)).find((each) => each);
    const quality = range?.quality ?? 0;
    if (quality > (best?.quality ?? 0)) best = { type, quality };
  }
  return best?.type ?? null;
}
