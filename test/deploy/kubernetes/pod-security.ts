import { Namespace, type IContainer } from 'kubernetes-models/v1';
import { workloadsOf, type KubernetesObject, type Workload } from './objects.ts';

/** The volumes that the Pod Security Standard `restricted` lets pods have. */
const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/** What the admission of a namespace that enforces `restricted` would refuse, a sentence each. */
export function restrictedFaults(objects: readonly KubernetesObject[]): string[] {
  const restricted = objects.flatMap((each) =>
    Namespace.is(each) && each.metadata.labels?.['pod-security.kubernetes.io/enforce'] === 'restricted'
      ? each.metadata.name
      : [],
  );
  return workloadsOf(objects)
    .filter(({ namespace }) => restricted.includes(namespace))
    .flatMap((workload) => [
      ...workload.containers.flatMap((container) => containerFaults(workload, container)),
      ...(workload.pod.volumes ?? [])
        .filter((volume) => !VOLUMES.some((kind) => kind in volume))
        .map(({ name }) => `${workload.name}: the volume ${name} is of a kind that is refused`),
      ...(['hostNetwork', 'hostPID', 'hostIPC'] as const)
        .filter((each) => workload.pod[each])
        .map((each) => `${workload.name}: ${each} is refused`),
    ]);
}

function containerFaults({ name, pod }: Workload, container: IContainer): string[] {
  const own = container.securityContext ?? {};
  const of = pod.securityContext ?? {};
  const needs: [rule: string, holds: boolean][] = [
    ['runAsNonRoot: true', own.runAsNonRoot ?? of.runAsNonRoot ?? false],
    ['a user that is not root', (own.runAsUser ?? of.runAsUser) !== 0],
    [
      'seccompProfile.type: RuntimeDefault',
      (own.seccompProfile ?? of.seccompProfile)?.type === 'RuntimeDefault',
    ],
    ['allowPrivilegeEscalation: false', own.allowPrivilegeEscalation === false],
    ['capabilities.drop: [ALL]', own.capabilities?.drop?.includes('ALL') ?? false],
    ['no further capabilities', (own.capabilities?.add ?? []).length === 0],
    ['not to be privileged', own.privileged !== true],
    ['no ports of the host', (container.ports ?? []).every(({ hostPort }) => hostPort === undefined)],
  ];
  return needs.flatMap(([rule, holds]) => (holds ? [] : [`${name}: ${container.name} needs ${rule}`]));
}
