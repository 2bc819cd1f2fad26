import { readFile } from 'node:fs/promises';

/**
 * The commands of a page below `docs/` that are tried: its blocks of code that begin with ```` ```sh tried ````, below the heading when one is
 * given. Fails when there are none.
 */
export async function triedCommands(page: string, heading?: string): Promise<string> {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const part = heading === undefined ? text : sectionOf(text, heading);
  const blocks = [...part.matchAll(/^```sh tried\n(.*?)^```$/gms)].map(([, block = '']) => block);
  if (blocks.length === 0) throw new Error(`docs/${page} has no commands to try ${heading ?? ''}`);
  return blocks.join('\n');
}

/** What stands below a heading, up to the next one of its level or above. */
function sectionOf(text: string, heading: string): string {
  const start = new RegExp(`^(#+) ${heading}$`, 'm').exec(text);
  if (!start) throw new Error(`there is no heading ${heading}`);
  const rest = text.slice(start.index + start[0].length);
  const end = new RegExp(`^#{1,${start[1]?.length ?? 1}} `, 'm').exec(rest);
  return end ? rest.slice(0, end.index) : rest;
}
