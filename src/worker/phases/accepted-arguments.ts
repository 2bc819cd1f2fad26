import type { BuildArguments } from '../../contract/build-arguments.ts';
import type { ExtensionName } from '../../contract/extensions.ts';

/** The arguments without those of extensions that this manager has not accepted: to it they are unknown names, which are ignored. */
export function acceptedArguments(
  build: BuildArguments,
  accepted: ReadonlySet<ExtensionName>,
): BuildArguments {
  const { build_args, target, labels, oci_labels, secrets, ssh, ...rest } = build;
  const options = accepted.has('build-options');
  return {
    ...rest,
    ...(options && build_args !== undefined ? { build_args } : {}),
    ...(options && target !== undefined ? { target } : {}),
    ...(options && labels !== undefined ? { labels } : {}),
    ...(options && oci_labels !== undefined ? { oci_labels } : {}),
    ...(accepted.has('secrets') && secrets !== undefined ? { secrets } : {}),
    ...(accepted.has('ssh') && ssh !== undefined ? { ssh } : {}),
  };
}
