import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { run } from '../../../lab/process.ts';
import { triedCommands } from '../../docs/commands.ts';
import { readObjects, type KubernetesObject } from './objects.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const EXAMPLE_DATABASE = 'postgresql://quay:PASSWORD@postgres.example:5432/quay';

/** Writes down what a cluster would be sent, as `kubectl` renders it, and takes the rest for done. */
const KUBECTL = `#!/bin/sh
set -eu
kubectl=$(PATH=\${PATH#*:}; command -v kubectl)
case "$1 $2" in
  'create secret') "$kubectl" "$@" --dry-run=client --output yaml | grep -v '^  creationTimestamp: null$' ;;
  'apply --kustomize') "$kubectl" kustomize "$3" ;;
  'apply --filename') shift; while [ $# -gt 0 ]; do cat "$2"; echo ---; shift 2; done ;;
  'rollout status') ;;
  *) echo "no cluster here for: kubectl $*" >&2; exit 64 ;;
esac >> "$SENT"
echo --- >> "$SENT"
`;

export interface FollowedGuide {
  /** All that the cluster was sent. */
  readonly objects: readonly KubernetesObject[];
  /** The token of `ops`. */
  readonly token: string;
}

/** Follows docs/kubernetes.md in an empty folder, with this database in the place of the guide's. */
export async function followGuide(folder: string, databaseUrl = EXAMPLE_DATABASE): Promise<FollowedGuide> {
  const programs = join(folder, 'bin');
  await mkdir(programs);
  await writeFile(join(programs, 'kubectl'), KUBECTL);
  await chmod(join(programs, 'kubectl'), 0o755);
  await symlink(join(ROOT, 'bin/quay-build-manager'), join(programs, 'quay-build-manager'));
  await symlink(join(ROOT, 'deploy'), join(folder, 'deploy'));
  const commands = await triedCommands('kubernetes.md');
  if (!commands.includes(EXAMPLE_DATABASE)) throw new Error('the guide has another database');
  const sent = join(folder, 'sent.yaml');
  await run('/bin/sh', ['-eu', '-c', commands.replace(EXAMPLE_DATABASE, databaseUrl)], {
    cwd: folder,
    env: { PATH: `${programs}:${process.env['PATH'] ?? ''}`, SENT: sent },
  });
  return {
    objects: readObjects(await readFile(sent, 'utf8')),
    token: (await readFile(join(folder, 'quay-build-secrets/ops.token'), 'utf8')).trim(),
  };
}
