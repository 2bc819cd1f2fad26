import { stat } from 'node:fs/promises';
import { reasonOf } from '../../contract/reason.ts';
import { DatabaseAway } from '../../store/index.ts';
import { KEY_FILE_WATCH_MS } from '../limits.ts';
import { createSecretBox, type RekeyableBox } from './secret-box.ts';
import { loadSecretKeys } from './secret-key.ts';

export interface WatchedKeysOptions {
  /** The key file. */
  readonly path: string;
  /** Gets the keys of the file whenever it has changed. */
  readonly box: RekeyableBox;
  /** Throws where such a box is not one of this database. */
  readonly demandOwn: (box: RekeyableBox) => Promise<void>;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

/**
 * Reads the key file again when it has changed, so that a key is changed without a restart. A file that cannot be used, or is another
 * database's, is told in the log, and the keys of before stay. Answers with what ends it.
 */
export function watchSecretKeys({ path, box, demandOwn, logger }: WatchedKeysOptions): () => void {
  let known: string | null = null;
  let looking = false;
  const look = async (): Promise<void> => {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    const version = `${mtimeNs}/${size}/${ino}`;
    const before = known;
    if (version === before) return;
    // One that cannot be used is told once, and not at each look.
    known = version;
    const { keys } = await loadSecretKeys(path, { create: false });
    await demandOwn(createSecretBox(keys)).catch((error: unknown) => {
      if (error instanceof DatabaseAway) known = before;
      throw error;
    });
    box.useKeys(keys);
    if (before !== null) logger.info({ path, keys: keys.length }, 'the key file was read anew');
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((error: unknown) => {
        logger.warn(
          { path, reason: reasonOf(error) },
          'the key file cannot be used: the keys of before stay',
        );
      })
      .finally(() => {
        looking = false;
      });
  }, KEY_FILE_WATCH_MS);
  return () => clearInterval(timer);
}
