import { readdir, readFile, readlink } from 'node:fs/promises';

/** The processes that work in a folder, by their arguments. */
export async function processesIn(folder: string): Promise<{ id: number; command: string }[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const looked = ids.map(async (id) => {
    try {
      const cwd = await readlink(`/proc/${id}/cwd`);
      const command = (await readFile(`/proc/${id}/cmdline`, 'utf8')).replaceAll('\0', ' ');
      return cwd.startsWith(folder) ? [{ id: Number(id), command }] : [];
    } catch {
      return [];
    }
  });
  return (await Promise.all(looked)).flat();
}
