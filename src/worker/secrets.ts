import { createMasker, secretForms } from '../contract/masking.ts';

/** The secrets that are in use, so that the worker's own log can hide them whatever writes it. */
export interface SecretKeeper {
  /** Hides these values from now on, until what it answers with is called. */
  keep(values: readonly string[]): () => void;
  mask(text: string): string;
}

export function createSecretKeeper(): SecretKeeper {
  const kept = new Set<readonly string[]>();
  let masker = createMasker([]);
  const renew = (): void => void (masker = createMasker([...kept].flat()));
  return {
    keep: (values) => {
      const forms = values.flatMap(secretForms);
      kept.add(forms);
      renew();
      return () => {
        kept.delete(forms);
        renew();
      };
    },
    mask: (text) => masker.mask(text),
  };
}
