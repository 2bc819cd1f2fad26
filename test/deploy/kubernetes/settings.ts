import { ConfigMap, Secret, type IContainer } from 'kubernetes-models/v1';
import type { Settings } from '../../../src/contract/configuration.ts';
import { selects, workloadsOf, type KubernetesObject, type Workload } from './objects.ts';

/** A workload's container that runs one of our programs. */
export interface Program {
  readonly workload: Workload;
  readonly container: IContainer;
}

/** The container of a name; fails when there is none. */
export function programOf(objects: readonly KubernetesObject[], name: string): Program {
  for (const workload of workloadsOf(objects)) {
    const container = workload.containers.find((each) => each.name === name);
    if (container) return { workload, container };
  }
  throw new Error(`there is no container ${name}`);
}

/** The environment that a container gets, for a pod of this name. */
export function environmentOf(
  { workload: { namespace }, container }: Program,
  objects: readonly KubernetesObject[],
  pod: string,
): Record<string, string> {
  const maps = objects.filter((each) => ConfigMap.is(each));
  const shared = (container.envFrom ?? []).flatMap(({ configMapRef }) =>
    maps
      .filter(({ metadata }) => metadata.namespace === namespace && metadata.name === configMapRef?.name)
      .flatMap(({ data }) => Object.entries(data ?? {})),
  );
  const own = (container.env ?? []).map(({ name, value, valueFrom }): [string, string] => [
    name,
    valueFrom?.fieldRef?.fieldPath === 'metadata.name' ? pod : (value ?? ''),
  ]);
  return Object.fromEntries([...shared, ...own]);
}

/** What of a container's settings is none of its program's, or names a file that no volume has, a sentence each. */
export function settingFaults(
  program: Program,
  objects: readonly KubernetesObject[],
  settings: Settings,
): string[] {
  const known = Object.entries(settings).flatMap(([name, { file }]) =>
    file ? [name, `${name}_FILE`] : [name],
  );
  // Kept for the engine's own programs.
  const environment = Object.entries(environmentOf(program, objects, 'pod-1'));
  const mounts = program.container.volumeMounts ?? [];
  return environment.flatMap(([name, value]) => {
    if (!known.includes(name)) return [`${name} is no setting`];
    if (!value.startsWith('/')) return [];
    const mount = mounts.find(({ mountPath }) => value === mountPath || value.startsWith(`${mountPath}/`));
    if (!mount) return [`${name}: no volume is mounted at ${value}`];
    const secret = program.workload.pod.volumes?.find((volume) => volume.name === mount.name)?.secret;
    if (!secret) return [];
    const key = value.slice(mount.mountPath.length + 1);
    const there = objects.some(
      (each) =>
        Secret.is(each) &&
        each.metadata.namespace === program.workload.namespace &&
        each.metadata.name === secret.secretName &&
        selects({ [key]: each.data?.[key] ?? '' }, each.data ?? {}),
    );
    return there ? [] : [`${name}: there is no key ${key} in the Secret ${secret.secretName ?? ''}`];
  });
}
