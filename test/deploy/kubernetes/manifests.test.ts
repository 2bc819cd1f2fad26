import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { Service } from 'kubernetes-models/v1';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { managerConfiguration } from '../../../src/manager/config.ts';
import { workerConfiguration } from '../../../src/worker/config.ts';
import { followGuide } from './guide.ts';
import { MANIFESTS, readObjects, workloadsOf, type KubernetesObject } from './objects.ts';
import { restrictedFaults } from './pod-security.ts';
import { referenceFaults } from './references.ts';
import { schemaFaults } from './schemas.ts';
import { environmentOf, programOf, settingFaults } from './settings.ts';

/** The manifests for Kubernetes against its published schemas, and against each other. */

let folder: string;
/** All that docs/kubernetes.md has the cluster sent, and what of the examples has a schema. */
let objects: readonly KubernetesObject[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubernetes-'));
  const examples = await Promise.all(
    (await readdir(join(MANIFESTS, 'examples'))).map(async (name) =>
      readObjects(await readFile(join(MANIFESTS, 'examples', name), 'utf8')),
    ),
  );
  objects = [...(await followGuide(folder)).objects, ...examples.flat()].filter(
    ({ kind }) => kind !== 'PodMonitor',
  );
});
afterAll(() => rm(folder, { recursive: true }));

const faultsOf = (all: readonly KubernetesObject[]): string[] => [
  ...schemaFaults(all),
  ...referenceFaults(all),
  ...restrictedFaults(all),
  ...settingFaults(programOf(all, 'manager'), all, managerConfiguration.settings),
  ...settingFaults(programOf(all, 'worker'), all, workerConfiguration.settings),
];

it('are what Kubernetes takes, and fit each other and the programs', () => {
  expect(objects.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['Deployment', 'StatefulSet', 'NetworkPolicy', 'PodDisruptionBudget', 'Ingress']),
  );
  expect(faultsOf(objects)).toEqual([]);
});

it('give everybody the time to stop that the settings promise', () => {
  const manager = programOf(objects, 'manager');
  const settings = environmentOf(manager, objects, 'manager-1');
  expect(manager.workload.pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
    Number(settings['STOP_DELAY_SECONDS']) + Number(settings['STOP_WITHIN_SECONDS']) + 10,
  );
  const worker = programOf(objects, 'worker');
  expect(worker.workload.pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
    Number(environmentOf(worker, objects, 'worker-1')['SHUTDOWN_TIMEOUT']) + 60,
  );
});

it('have the engine there before its worker, and until it has ended', () => {
  const { workload } = programOf(objects, 'worker');
  expect(workload.pod.initContainers).toMatchObject([{ name: 'engine', restartPolicy: 'Always' }]);
});

it("let the worker see how full its engine's disk is, and change nothing there", () => {
  const argument = programOf(objects, 'engine').container.args?.find((each) =>
    each.startsWith('--data-root='),
  );
  const [, data = ''] = argument?.split('=') ?? [];
  const { container } = programOf(objects, 'worker');
  const mount = container.volumeMounts?.find(({ mountPath }) => data.startsWith(`${mountPath}/`));
  expect(mount).toMatchObject({ name: 'engine-data', readOnly: true });
});

it('run the images that are made here', async () => {
  const makefile = await readFile(join(MANIFESTS, '../../Makefile'), 'utf8');
  const variable = (name: string): string =>
    new RegExp(`^${name} \\?= (\\S+)$`, 'm').exec(makefile)?.[1] ?? `no ${name}`;
  const tag = variable('IMAGE_TAG');
  const images = workloadsOf(objects).flatMap(({ containers }) => containers.map(({ image }) => image));
  expect(images).toContain(`${variable('MANAGER_IMAGE')}:${tag}`);
  expect(images).toContain(`${variable('IMAGE')}:${tag}-alpine`);
});

it('hold no secret', async () => {
  const names = (await readdir(MANIFESTS, { recursive: true })).filter((name) => name.endsWith('.yaml'));
  const texts = await Promise.all(names.map((name) => readFile(join(MANIFESTS, name), 'utf8')));
  expect(texts.length).toBeGreaterThan(10);
  expect(texts.filter((text) => /^kind: Secret$|secretGenerator|stringData/m.test(text))).toEqual([]);
});

describe('a mistake is found', () => {
  const find = <T>(all: readonly KubernetesObject[], is: (each: unknown) => each is T): T => {
    const found = all.find((each) => is(each));
    if (!is(found)) throw new Error('there is none of this kind');
    return found;
  };
  const managerOf = (all: readonly KubernetesObject[]) => {
    const [container] = find(all, Deployment.is).spec?.template.spec?.containers ?? [];
    if (!container) throw new Error('the manager has no container');
    return container;
  };

  it.each<[what: string, make: (all: KubernetesObject[]) => unknown, says: RegExp]>([
    [
      'a misspelt field',
      (all) => Object.assign(managerOf(all), { readinesProbe: {} }),
      /'"readinesProbe"' does not exist in type 'IContainer'/,
    ],
    [
      'a value of another kind',
      (all) => Object.assign(find(all, StatefulSet.is).spec ?? {}, { replicas: 'two' }),
      /StatefulSet quay-builders\/quay-builder: data\/spec\/replicas must be integer/,
    ],
    [
      'an amount that is none',
      (all) => Object.assign(managerOf(all), { resources: { limits: { memory: '1Gb' } } }),
      /memory must match format "quantity"/,
    ],
    [
      'a service that leads to a port that there is not',
      (all) => Object.assign(find(all, Service.is).spec?.ports?.[0] ?? {}, { targetPort: 'htpp' }),
      /Service quay-build\/quay-build-manager: its port http leads to none of a container/,
    ],
    [
      'a probe of such a port',
      (all) => Object.assign(managerOf(all).livenessProbe?.httpGet ?? {}, { port: 8080 }),
      /the port 8080 of a probe is none of manager/,
    ],
    [
      'a secret that nobody made',
      (all) =>
        all.splice(
          all.findIndex(({ kind }) => kind === 'Secret'),
          1,
        ),
      /Deployment quay-build\/quay-build-manager: there is no Secret quay-build-manager/,
    ],
    [
      'a selector of other pods',
      (all) =>
        Object.assign(find(all, Deployment.is).spec?.selector ?? {}, { matchLabels: { app: 'other' } }),
      /its selector does not take its own pods/,
    ],
    [
      'a policy for nobody',
      (all) =>
        Object.assign(all.findLast((each) => NetworkPolicy.is(each))?.spec ?? {}, {
          podSelector: { matchLabels: { app: 'other' } },
        }),
      /NetworkPolicy .*: it is for no pods/,
    ],
    [
      'a setting that there is not',
      (all) => managerOf(all).env?.push({ name: 'LISTEN_HTPP', value: '0.0.0.0:8686' }),
      /LISTEN_HTPP is no setting/,
    ],
    [
      'a file that no secret has',
      (all) =>
        managerOf(all).env?.push({
          name: 'GIT_KNOWN_HOSTS_FILE',
          value: '/etc/quay-build-manager/secrets/known_hosts',
        }),
      /there is no key known_hosts in the Secret quay-build-manager/,
    ],
    [
      'a manager that is root',
      (all) => Object.assign(managerOf(all).securityContext ?? {}, { runAsUser: 0 }),
      /manager needs a user that is not root/,
    ],
  ])('%s', (_what, make, says) => {
    const copy = structuredClone([...objects]);
    make(copy);
    expect(faultsOf(copy).join('\n')).toMatch(says);
  });
});
