import type { ImageBuild } from './engine.ts';

/** What both builders take in the address of `/build` in the same form. */
export function optionsQuery({ target, labels }: ImageBuild): Record<string, string> {
  return {
    ...(target === '' ? {} : { target }),
    ...(Object.keys(labels).length === 0 ? {} : { labels: JSON.stringify(labels) }),
  };
}
