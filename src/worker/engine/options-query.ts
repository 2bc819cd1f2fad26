import type { ImageBuild } from './engine.ts';

/** What both builders take in the address of `/build` in the same form. */
export function optionsQuery({ target, labels, platform, network }: ImageBuild): Record<string, string> {
  return {
    ...(target === '' ? {} : { target }),
    ...(platform === '' ? {} : { platform }),
    ...(network === 'default' ? {} : { networkmode: network }),
    ...(Object.keys(labels).length === 0 ? {} : { labels: JSON.stringify(labels) }),
  };
}
