import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { Ingress, NetworkPolicy, type INetworkPolicyPort } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service } from 'kubernetes-models/v1';
import { nameOf, selects, workloadsOf, type KubernetesObject, type Workload } from './objects.ts';

/** What objects name of each other and is not there, or would not fit, a sentence each. No schema sees that. */
export function referenceFaults(objects: readonly KubernetesObject[]): string[] {
  const workloads = workloadsOf(objects);
  return [
    ...namespaceFaults(objects),
    ...workloads.flatMap((workload) => [...podFaults(workload), ...sourceFaults(workload, objects)]),
    ...objects.flatMap((object) => [
      ...serviceFaults(object, workloads),
      ...budgetFaults(object, workloads),
      ...policyFaults(object, workloads),
      ...entryFaults(object, objects),
    ]),
  ];
}

function namespaceFaults(objects: readonly KubernetesObject[]): string[] {
  const there = objects.filter((each) => Namespace.is(each)).map(({ metadata }) => metadata.name);
  return [
    ...objects
      .filter(({ kind, metadata: { namespace = '' } }) => kind !== 'Namespace' && !there.includes(namespace))
      .map((object) => `${nameOf(object)}: its namespace is not there`),
    ...there.flatMap((name) => {
      const denied = objects.some(
        (each) =>
          NetworkPolicy.is(each) &&
          each.metadata.namespace === name &&
          Object.keys(each.spec?.podSelector ?? { absent: true }).length === 0 &&
          !each.spec?.ingress &&
          !each.spec?.egress &&
          each.spec?.policyTypes?.join() === 'Ingress,Egress',
      );
      return denied ? [] : [`Namespace ${name}: nothing denies what no other policy allows`];
    }),
  ];
}

/** What a pod says of itself. */
function podFaults({ name, labels, selector, pod, containers, claims }: Workload): string[] {
  const volumes = [...(pod.volumes ?? []).map((volume) => volume.name), ...claims];
  const mounted = containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map((mount) => mount.name));
  const spreads = pod.topologySpreadConstraints ?? [];
  return [
    ...(selects(selector, labels) ? [] : [`${name}: its selector does not take its own pods`]),
    ...(spreads.every((each) => selects(each.labelSelector?.matchLabels, labels))
      ? []
      : [`${name}: it spreads other pods than its own`]),
    ...mounted.filter((each) => !volumes.includes(each)).map((each) => `${name}: there is no volume ${each}`),
    ...volumes.filter((each) => !mounted.includes(each)).map((each) => `${name}: nobody mounts ${each}`),
    ...containers.flatMap((container) =>
      [container.startupProbe, container.livenessProbe, container.readinessProbe].flatMap((probe) => {
        const port = probe?.httpGet?.port;
        return port === undefined || hasPort([container], port)
          ? []
          : [`${name}: the port ${port} of a probe is none of ${container.name}`];
      }),
    ),
  ];
}

/** Where a pod's settings and volumes come from. */
function sourceFaults(
  { name, namespace, pod, containers }: Workload,
  objects: readonly KubernetesObject[],
): string[] {
  const near = objects.filter(({ metadata }) => metadata.namespace === namespace);
  const names = (is: (each: unknown) => boolean): string[] =>
    near.filter(is).map(({ metadata }) => metadata.name);
  const wanted: [kind: string, asked: (string | undefined)[], there: string[]][] = [
    [
      'ConfigMap',
      containers.flatMap(({ envFrom = [] }) => envFrom.map(({ configMapRef }) => configMapRef?.name)),
      names(ConfigMap.is),
    ],
    ['Secret', (pod.volumes ?? []).map(({ secret }) => secret?.secretName), names(Secret.is)],
    [
      'PersistentVolumeClaim',
      (pod.volumes ?? []).map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName),
      names(PersistentVolumeClaim.is),
    ],
  ];
  return wanted.flatMap(([kind, asked, there]) =>
    asked
      .filter((each) => each !== undefined && !there.includes(each))
      .map((each) => `${name}: there is no ${kind} ${each ?? ''}`),
  );
}

function serviceFaults(object: KubernetesObject, workloads: readonly Workload[]): string[] {
  if (!Service.is(object)) return [];
  const { selector, ports = [] } = object.spec ?? {};
  const behind = podsOf(object.metadata.namespace, selector, workloads);
  if (behind.length === 0) return [`${nameOf(object)}: there are no pods behind it`];
  return ports
    .filter(
      ({ port, targetPort = port }) => !behind.every(({ containers }) => hasPort(containers, targetPort)),
    )
    .map(({ name = '' }) => `${nameOf(object)}: its port ${name} leads to none of a container`);
}

function budgetFaults(object: KubernetesObject, workloads: readonly Workload[]): string[] {
  if (!PodDisruptionBudget.is(object)) return [];
  const [workload] = podsOf(object.metadata.namespace, object.spec?.selector?.matchLabels, workloads);
  if (!workload) return [`${nameOf(object)}: it is for no pods`];
  return workload.replicas > 1 ? [] : [`${nameOf(object)}: with one pod it helps nobody`];
}

function policyFaults(object: KubernetesObject, workloads: readonly Workload[]): string[] {
  if (!NetworkPolicy.is(object)) return [];
  const { podSelector, ingress = [], egress = [], policyTypes = [] } = object.spec ?? {};
  const own = podsOf(object.metadata.namespace, podSelector?.matchLabels, workloads);
  const fits = (ports: readonly INetworkPolicyPort[] | undefined, pods: readonly Workload[]): boolean =>
    (ports ?? []).every(
      ({ port }) => port === undefined || pods.every((pod) => hasPort(pod.containers, port)),
    );
  const elsewhere = egress.flatMap(({ to = [], ports }) =>
    to.flatMap(({ namespaceSelector, podSelector: pods }) => {
      if (!pods) return [];
      const namespace = namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name'];
      const there = podsOf(namespace ?? object.metadata.namespace, pods.matchLabels, workloads);
      return there.length > 0 && fits(ports, there)
        ? []
        : [`${nameOf(object)}: it leads to no port of a pod`];
    }),
  );
  return [
    ...(own.length > 0 ? [] : [`${nameOf(object)}: it is for no pods`]),
    ...(ingress.every(({ ports }) => fits(ports, own))
      ? []
      : [`${nameOf(object)}: it lets in to a port that there is not`]),
    ...elsewhere,
    ...(ingress.length > 0 && !policyTypes.includes('Ingress')
      ? [`${nameOf(object)}: what it says of Ingress does not count`]
      : []),
    ...(egress.length > 0 && !policyTypes.includes('Egress')
      ? [`${nameOf(object)}: what it says of Egress does not count`]
      : []),
  ];
}

/** What leads from outside to a service, and what scales a workload. */
function entryFaults(object: KubernetesObject, objects: readonly KubernetesObject[]): string[] {
  const near = objects.filter(({ metadata }) => metadata.namespace === object.metadata.namespace);
  if (HorizontalPodAutoscaler.is(object)) {
    const { kind, name } = object.spec.scaleTargetRef;
    const there = near.some((each) => each.kind === kind && each.metadata.name === name);
    return there ? [] : [`${nameOf(object)}: there is no ${kind} ${name}`];
  }
  if (!Ingress.is(object)) return [];
  const backends = (object.spec?.rules ?? []).flatMap(({ http }) => http?.paths ?? []);
  return backends
    .filter(({ backend: { service } }) => {
      const there = near.find((each) => Service.is(each) && each.metadata.name === service?.name);
      if (!there || !Service.is(there)) return true;
      return !there.spec?.ports?.some(
        ({ name, port }) => name === service?.port?.name || port === service?.port?.number,
      );
    })
    .map(
      ({ backend }) => `${nameOf(object)}: there is no such port of a service ${backend.service?.name ?? ''}`,
    );
}

function podsOf(
  namespace: string | undefined,
  selector: Readonly<Record<string, string>> | undefined,
  workloads: readonly Workload[],
): Workload[] {
  return workloads.filter((each) => each.namespace === namespace && selects(selector, each.labels));
}

function hasPort(containers: Workload['containers'], port: number | string): boolean {
  return containers.some(({ ports = [] }) =>
    ports.some(({ name, containerPort }) => name === port || containerPort === port),
  );
}
