import {
  chmod,
  chown,
  constants,
  copyFile,
  cp,
  lchown,
  mkdir,
  readdir,
  rename,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Secret } from 'kubernetes-models/v1';
import { run, startProcess, type LabProcess } from '../../../lab/process.ts';
import { type KubernetesObject } from './objects.ts';
import { environmentOf, type Program } from './settings.ts';

/** A pod without a cluster: a program as the user, and with the environment, the volumes and the modes that its manifest says. */

const ROOT = resolve(import.meta.dirname, '../../..');

export interface Pod {
  /** Where a path of the container is here. */
  pathOf(path: string): string;
  /** Starts the container's program. */
  start(): LabProcess;
  /** Runs a command in the container; fails when it does. */
  exec(command: readonly string[]): Promise<string>;
  /** Puts other content into a mounted secret, at once for all of its files, as the kubelet does. */
  replaceSecret(mountPath: string, files: Readonly<Record<string, string>>): Promise<void>;
}

export interface PodOptions {
  /** An empty folder that anybody may enter. */
  readonly folder: string;
  readonly name: string;
  readonly objects: readonly KubernetesObject[];
  readonly program: Program;
  /** The program's file below `programs`. */
  readonly file: string;
  /** What `copyPrograms` answered with. */
  readonly programs: string;
  /** What is elsewhere here than in a cluster: text in values of the environment, and what stands for it. */
  readonly elsewhere: Readonly<Record<string, string>>;
}

/** Makes the volumes of a pod. */
export async function makePod({
  folder,
  name,
  objects,
  program,
  file,
  programs,
  elsewhere,
}: PodOptions): Promise<Pod> {
  const { workload, container } = program;
  const mounts = container.volumeMounts ?? [];
  const user = container.securityContext?.runAsUser ?? workload.pod.securityContext?.runAsUser ?? 0;
  const group = container.securityContext?.runAsGroup ?? workload.pod.securityContext?.runAsGroup ?? 0;
  const shared = workload.pod.securityContext?.fsGroup ?? 0;
  const pathOf = (path: string): string =>
    mounts.some(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))
      ? join(folder, path)
      : path;

  const replaceSecret: Pod['replaceSecret'] = async (mountPath, files) => {
    const volume = workload.pod.volumes?.find(
      ({ name: each }) => each === mounts.find((mount) => mount.mountPath === mountPath)?.name,
    );
    const directory = join(folder, mountPath);
    const version = join(directory, `..${Date.now()}`);
    const there = await readdir(directory);
    await mkdir(version);
    for (const [key, content] of Object.entries(files)) {
      const path = join(version, key);
      await writeFile(path, content);
      await chown(path, 0, shared);
      await chmod(path, volume?.secret?.defaultMode ?? 0o644);
      if (!there.includes(key)) await symlink(join('..data', key), join(directory, key));
    }
    await symlink(basename(version), join(directory, '..new'));
    await rename(join(directory, '..new'), join(directory, '..data'));
  };

  for (const { name: volumeName, mountPath } of mounts) {
    const directory = join(folder, mountPath);
    await mkdir(directory, { recursive: true });
    const volume = workload.pod.volumes?.find((each) => each.name === volumeName);
    if (volume?.secret) {
      const secret = objects.find(
        (each) =>
          Secret.is(each) &&
          each.metadata.namespace === workload.namespace &&
          each.metadata.name === volume.secret?.secretName,
      );
      const data = Secret.is(secret) ? (secret.data ?? {}) : {};
      await replaceSecret(
        mountPath,
        Object.fromEntries(
          Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
        ),
      );
      continue;
    }
    await lchown(directory, 0, shared);
    await chmod(directory, 0o2775);
  }
  const environment = Object.fromEntries(
    Object.entries(environmentOf(program, objects, name)).map(([key, value]) => {
      const text = Object.entries(elsewhere).reduce(
        (before, [there, here]) => before.replaceAll(there, here),
        value,
      );
      return [
        key,
        text.replace(/^(unix:\/\/)?(\/.*)$/, (_, scheme = '', path: string) => `${scheme}${pathOf(path)}`),
      ];
    }),
  );
  const env = { PATH: `${programs}:${process.env['PATH'] ?? ''}`, TMPDIR: pathOf('/tmp'), ...environment };
  const as = [
    `--reuid=${user}`,
    `--regid=${group}`,
    `--groups=${shared}`,
    '--no-new-privs',
    '--bounding-set=-all',
  ];
  return {
    pathOf,
    start: () => startProcess('/usr/bin/setpriv', [...as, '--', join(programs, file)], { env }),
    exec: (command) => run('/usr/bin/setpriv', [...as, '--', ...command], { env }),
    replaceSecret,
  };
}

/** Copies the programs that `make build` left to where any user may read them. Answers with the folder of their names. */
export async function copyPrograms(folder: string): Promise<string> {
  const home = join(folder, 'opt/quay-builder');
  for (const name of ['bin', 'dist', 'package.json'])
    await cp(join(ROOT, name), join(home, name), {
      recursive: true,
      filter: (path) => !path.includes('.compile-cache'),
    });
  const node = join(home, 'node_modules/node/bin/node');
  await mkdir(dirname(node), { recursive: true });
  await copyFile(join(ROOT, 'node_modules/node/bin/node'), node, constants.COPYFILE_FICLONE);
  await run('chmod', ['-R', 'u=rwX,go=rX', home]);
  return join(home, 'bin');
}
