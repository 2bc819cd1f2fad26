import type { ExtensionArguments } from '../../contract/build-arguments.ts';
import type { ImageSecrets, ImageSpec } from './image-build.ts';

/** The options of a build as build arguments. Only those that it has: a deployed worker, which gets builds without any, is sent none. */
export function optionArguments(spec: ImageSpec, secrets: ImageSecrets): ExtensionArguments {
  const { build_args, target, labels, oci_labels, platform, cache_from, cache_to, push_to } = spec;
  const { limits, timeout, silence_timeout, network } = spec;
  return {
    ...(isEmpty(build_args) ? {} : { build_args }),
    ...(target === '' ? {} : { target }),
    ...(isEmpty(labels) ? {} : { labels }),
    ...(oci_labels ? {} : { oci_labels }),
    ...(secrets.secrets === undefined ? {} : { secrets: secrets.secrets }),
    ...(secrets.ssh === undefined ? {} : { ssh: secrets.ssh }),
    ...(secrets.registry_auth === undefined ? {} : { registry_auth: secrets.registry_auth }),
    ...(platform === '' ? {} : { platform }),
    ...(isEmpty(cache_from) ? {} : { cache_from }),
    ...(isEmpty(cache_to) ? {} : { cache_to }),
    ...(isEmpty(push_to) ? {} : { push_to }),
    ...(isEmpty(limits) ? {} : { limits }),
    ...(timeout === null ? {} : { timeout }),
    ...(silence_timeout === null ? {} : { silence_timeout }),
    ...(network === 'default' ? {} : { network }),
  };
}

function isEmpty(entries: object): boolean {
  return Object.keys(entries).length === 0;
}
