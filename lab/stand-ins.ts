import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LabEngine } from './engine.ts';
import { folderPrefix } from './orphans.ts';
import { importStandIn, type Content, type StandIn } from './stand-in-image.ts';

/**
 * Images without a hub: a Debian root of this machine's files under the name of the real base, with the package manager's name
 * for a script that installs what this machine has. A package is installed by its real name or not at all, so that one that is
 * misspelt, or missing from a Dockerfile, is found. What that does not show is in docs/images.md.
 */

const NODE = resolve(import.meta.dirname, '../node_modules/node/bin/node');
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

const node = (path: string): Content => ({ files: { [path]: NODE } });
const SHELL_TOOLS = ['bash', 'coreutils', 'findutils', 'grep', 'sed'];

const alpine: StandIn = {
  root: { files: { 'etc/ssl/certs/ca-certificates.crt': CERTIFICATES } },
  busybox: true,
  installer: 'apk',
  packages: {
    bzip2: { debian: ['bzip2'] },
    'ca-certificates': {},
    git: { debian: ['git'] },
    'libstdc++': { debian: ['libgcc-s1', 'libstdc++6'] },
    'openssh-client-default': { debian: ['openssh-client'] },
    'openssh-keygen': { files: { 'usr/bin/ssh-keygen': '/usr/bin/ssh-keygen' } },
    tini: { files: { 'usr/sbin/tini': '/usr/bin/tini' } },
    'tini-static': { files: { 'usr/sbin/tini-static': '/usr/bin/tini-static' } },
    xz: { debian: ['xz-utils'] },
  },
  osRelease: 'ID=alpine\nPRETTY_NAME="A stand-in for Alpine Linux"\n',
};

const debian: StandIn = {
  root: { debian: [...SHELL_TOOLS, 'dash', 'gzip', 'mawk', 'tar'] },
  installer: 'apt-get',
  packages: {
    bzip2: { debian: ['bzip2'] },
    'ca-certificates': { files: { 'etc/ssl/certs/ca-certificates.crt': CERTIFICATES } },
    git: { debian: ['git'] },
    'libstdc++6': { debian: ['libgcc-s1', 'libstdc++6'] },
    'openssh-client': { debian: ['openssh-client'] },
    tini: { debian: ['tini'] },
    'xz-utils': { debian: ['xz-utils'] },
  },
  osRelease: 'ID=debian\nPRETTY_NAME="A stand-in for Debian"\n',
};

/** Of Node's own images the Dockerfiles take the program, and run nothing. */
const nodeAlone: StandIn = {
  root: node('usr/local/bin/node'),
  osRelease: 'ID=debian\nPRETTY_NAME="A stand-in for an image of Node"\n',
};

const ubiMinimal: StandIn = {
  root: {
    debian: SHELL_TOOLS,
    files: { 'etc/pki/tls/certs/ca-bundle.crt': CERTIFICATES, 'usr/bin/sh': '/usr/bin/bash' },
  },
  installer: 'microdnf',
  packages: {
    bzip2: { debian: ['bzip2'] },
    'ca-certificates': {},
    'git-core': { debian: ['git'] },
    nodejs: node('usr/bin/node'),
    'openssh-clients': { debian: ['openssh-client'] },
    xz: { debian: ['xz-utils'] },
  },
  osRelease: 'ID=rhel\nPRETTY_NAME="A stand-in for Red Hat Universal Base Image"\n',
};

/** Of the services beside the manager, what deploy/compose.yaml uses of them. */
const registry: StandIn = {
  root: {
    debian: [...SHELL_TOOLS, 'dash', 'wget'],
    files: { 'usr/bin/registry': '/usr/bin/docker-registry' },
  },
  osRelease: 'ID=debian\nPRETTY_NAME="A stand-in for the registry\'s image"\n',
  instructions: ['VOLUME /var/lib/registry', 'EXPOSE 5000', 'CMD ["registry"]'],
};

const PGDATA = '/var/lib/postgresql/data';
const postgres: StandIn = {
  root: {
    debian: [...SHELL_TOOLS, 'dash', 'postgresql-15', 'postgresql-client-15', 'tzdata'],
    files: { 'usr/local/bin/docker-entrypoint.sh': join(import.meta.dirname, 'stand-in-postgres') },
  },
  osRelease: 'ID=debian\nPRETTY_NAME="A stand-in for PostgreSQL\'s image"\n',
  user: { name: 'postgres', uid: 999, folders: [PGDATA, '/run/postgresql'] },
  instructions: [
    'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/lib/postgresql/15/bin',
    `ENV PGDATA=${PGDATA}`,
    `VOLUME ${PGDATA}`,
    'EXPOSE 5432',
    'ENTRYPOINT ["docker-entrypoint.sh"]',
    'CMD ["postgres"]',
  ],
};

/** The real names of the images that there are stand-ins for. */
const standIns = {
  'docker.io/library/alpine:3.22': alpine,
  'docker.io/library/node:24-alpine3.22': nodeAlone,
  'docker.io/library/debian:bookworm-slim': debian,
  'docker.io/library/node:24-bookworm-slim': nodeAlone,
  'docker.io/library/postgres:17': postgres,
  'docker.io/library/registry:2': registry,
  'registry.access.redhat.com/ubi9/ubi-minimal:latest': ubiMinimal,
} satisfies Record<string, StandIn>;

/** An image that there is a stand-in for, by its real name. */
export type StandInName = keyof typeof standIns;

/** Makes these images on an engine, under their real names. Needs Debian, with the packages that are named above. */
export async function importStandIns(
  engine: Pick<LabEngine, 'docker'>,
  names: readonly StandInName[],
): Promise<void> {
  const directory = await mkdtemp(`${folderPrefix()}stand-ins-`);
  try {
    // All must have ended before their folder goes.
    const ends = await Promise.allSettled(
      names.map((name, index) => importStandIn(engine, name, standIns[name], join(directory, String(index)))),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
