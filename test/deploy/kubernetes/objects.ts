import { join } from 'node:path';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import {
  ConfigMap,
  Namespace,
  PersistentVolumeClaim,
  Secret,
  Service,
  type IContainer,
  type IPodSpec,
} from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

/** Objects of Kubernetes, as `kubectl` would send them. */

export const MANIFESTS = join(import.meta.dirname, '../../../deploy/kubernetes');

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  /** Throws what is wrong with `this`. */
  readonly prototype: { validate(this: unknown): void };
}

/** The kinds that our manifests have; each knows its published schema. */
export const KINDS: readonly Kind[] = [
  ConfigMap,
  Deployment,
  HorizontalPodAutoscaler,
  Ingress,
  Namespace,
  NetworkPolicy,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  Secret,
  Service,
  StatefulSet,
];

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
export type KubernetesObject = z.infer<typeof objectSchema>;

/** Reads a stream of YAML as Kubernetes does: version 1.1, where 0440 is octal. */
export function readObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text, { version: '1.1', uniqueKeys: true }).flatMap((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error) throw error;
    const content: unknown = document.toJS();
    return content === null ? [] : [objectSchema.parse(content)];
  });
}

/** `Deployment quay-build/quay-build-manager` */
export function nameOf({ kind, metadata: { namespace, name } }: KubernetesObject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

type Labels = Readonly<Record<string, string>>;

/** What makes pods, and the pods that it makes. */
export interface Workload {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  /** Which pods it takes for its own. */
  readonly selector: Labels;
  readonly replicas: number;
  readonly pod: IPodSpec;
  readonly containers: readonly IContainer[];
  /** The volumes that each pod has of its own. */
  readonly claims: readonly string[];
}

export function workloadsOf(objects: readonly KubernetesObject[]): Workload[] {
  return objects.flatMap((object) => {
    if (!Deployment.is(object) && !StatefulSet.is(object)) return [];
    const { spec } = object;
    const pod = spec?.template.spec;
    if (!spec || !pod) return [];
    const claims = StatefulSet.is(object) ? (object.spec?.volumeClaimTemplates ?? []) : [];
    return {
      name: nameOf(objectSchema.parse(object)),
      namespace: object.metadata.namespace ?? '',
      labels: spec.template.metadata?.labels ?? {},
      selector: spec.selector.matchLabels ?? {},
      replicas: spec.replicas ?? 1,
      pod,
      containers: [...(pod.initContainers ?? []), ...pod.containers],
      claims: claims.map(({ metadata }) => metadata?.name ?? ''),
    };
  });
}

/** Whether labels have all that a selector asks for. */
export function selects(selector: Labels | undefined, labels: Labels): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => labels[name] === value);
}
