import type { SealedPlace, SealedStore } from '../../store/index.ts';
import { RESEAL_AT_ONCE } from '../limits.ts';
import { credentialContext } from '../registry/credentials.ts';
import { secretsContext } from '../submission/image-build.ts';
import { keyContext } from './own-key.ts';
import type { SecretBox } from './secret-box.ts';

/**
 * Seals everything anew that the key in use has not sealed; answers with how many that were. Managers may be running, as long as they know
 * both keys.
 *
 * @throws SealError when something was sealed with a key that the key file does not hold, or is damaged: it stays as it is.
 */
export async function reseal(store: SealedStore, box: SecretBox): Promise<number> {
  for (let done = 0; ;) {
    const values = await store.listOthers(box.fingerprint(), RESEAL_AT_ONCE);
    if (values.length === 0) return done;
    for (const value of values) {
      const context = contextOf(value);
      // What has changed meanwhile was sealed by somebody else, or is listed again.
      if (await store.replace(value, box.seal(context, box.open(context, value.sealed)))) done += 1;
    }
  }
}

function contextOf(value: SealedPlace): string {
  switch (value.place) {
    case 'build':
      return secretsContext(value.buildId);
    case 'key':
      return keyContext(value.name);
    case 'credential':
      return credentialContext(value.namespace, value.registry);
  }
}
