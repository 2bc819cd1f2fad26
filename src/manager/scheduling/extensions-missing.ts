/** A worker was to have a build that it could not do: it does not have the extensions that the build needs (docs/extensions.md). */
export class ExtensionsMissing extends Error {
  override readonly name = 'ExtensionsMissing';

  constructor(missing: readonly string[]) {
    super(`The worker that was to have this build lacks what it needs: ${missing.join(', ')}.`);
  }
}
