import type { KeyStore } from '../../store/index.ts';
import { SealError, type SecretBox } from './secret-box.ts';
import { SecretKeyError } from './secret-key.ts';

const MARK = 'sealed-mark';

/** The place that a key of the managers' own is bound to. */
export function keyContext(name: string): string {
  return name === MARK ? MARK : `key/${name}`;
}

/**
 * Makes sure that the key file is the one of this database, by something that the first manager sealed there: else its secrets would
 * fail one after the other, each when it is needed.
 *
 * @throws SecretKeyError when it is another's.
 */
export async function demandOwnKey(keys: Pick<KeyStore, 'list' | 'create'>, box: SecretBox): Promise<void> {
  const [known] = await keys.list(MARK);
  const { material } =
    known ??
    (await keys.create({
      name: MARK,
      kind: MARK,
      material: box.seal(MARK, MARK),
      certificate: null,
      isActive: true,
    }));
  try {
    box.open(MARK, material);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new SecretKeyError(
      `the key file is not the one of this database (${error.message}); bring the file that was used with it: ` +
        'SECRET_KEY_FILE, or secret.key in DATA_DIR',
      { cause: error },
    );
  }
}
