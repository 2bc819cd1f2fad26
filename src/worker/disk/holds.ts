/** What running builds use: nothing of it may be removed meanwhile, and what is being removed is not to be used. */
export interface Holds {
  /** Keeps a name or an id for a build; resolves when it is not being removed. */
  hold(build: string, reference: string): Promise<void>;
  isHeld(references: readonly string[]): boolean;
  /** Lets go of all that a build used. */
  release(build: string): void;
  /** Does the work of removing what goes by these names; `false`, and nothing is done, when it is held. */
  remove(references: readonly string[], work: () => Promise<boolean>): Promise<boolean>;
}

export function createHolds(): Holds {
  const held = new Map<string, Set<string>>();
  const removals = new Map<string, Promise<unknown>>();
  const isHeld = (references: readonly string[]): boolean => {
    const names = references.map(familiarName);
    return [...held.values()].some((each) => names.some((name) => each.has(name)));
  };
  return {
    hold: async (build, reference) => {
      const name = familiarName(reference);
      const mine = held.get(build) ?? new Set();
      held.set(build, mine.add(name));
      await removals.get(name);
    },
    isHeld,
    release: (build) => void held.delete(build),
    remove: async (references, work) => {
      if (isHeld(references)) return false;
      const names = references.map(familiarName);
      const removal = work();
      const settled = removal.catch(() => undefined);
      for (const name of names) removals.set(name, settled);
      try {
        return await removal;
      } finally {
        for (const name of names) removals.delete(name);
      }
    },
  };
}

/** A name as Docker lists it: Docker's hub and its library go without saying; Podman names both. */
export function familiarName(reference: string): string {
  return reference.replace(/^(?:index\.)?docker\.io\//, '').replace(/^library\/(?=[^/]+$)/, '');
}
