import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { reasonOf } from '../contract/reason.ts';
import { gatherAuthorities } from './authorities.ts';
import { exitCodes } from './exit-codes.ts';
import {
  addedGroups,
  become,
  chooseUser,
  imageUser,
  IMAGE_USER,
  offerFolder,
  socketOwner,
  type User,
} from './user.ts';

/**
 * `entrypoint PROGRAM …`, with which an image starts a program of `bin/`: adds the authorities of `/certs` to the system's, becomes the
 * image's user when it is root, and then is that program, in the same process (docs/images.md).
 */

const PROGRAMS = ['quay-builder', 'quay-build-manager', 'quay-build'];
const PLACES = {
  added: '/certs',
  // Of Debian and Alpine, then of Red Hat.
  system: ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'],
  // The first is a tmpfs in every container, also where the rest is read-only.
  bundle: ['/dev/shm', '/run', tmpdir()],
};

process.exitCode = await main(process.argv.slice(2));

/** Answers with an exit code only where the program could not be started. */
async function main([program = '', ...args]: readonly string[]): Promise<number> {
  if (!PROGRAMS.includes(program)) {
    process.stderr.write(`usage: entrypoint ${PROGRAMS.join('|')} …\n`);
    return exitCodes.configuration;
  }
  const { variables, warnings } = await gatherAuthorities(PLACES, process.env);
  // Of systemd's Container Interface: the program says of a container what it needs.
  const environment: NodeJS.ProcessEnv = { container: 'oci', ...process.env, ...variables };
  const told = [...warnings];
  const own = process.getuid?.() === 0 ? imageUser() : null;
  if (own !== null) {
    const { user, warning } = chooseUser(
      own,
      addedGroups(process.getgroups?.() ?? []),
      socketOwner(environment),
    );
    if (warning !== null) told.push(warning);
    if (environment['WORK_DIR']) await offerFolder(environment['WORK_DIR'], user);
    try {
      become(user);
    } catch (error) {
      process.stderr.write(cannotBecome(user, error));
      return exitCodes.configuration;
    }
    environment['HOME'] = user.home;
  }
  // A health check every few seconds would repeat what the container's log says already.
  if (told.length > 0 && !args.includes('health')) await warn(program, told);
  const path = resolve(import.meta.dirname, '../../bin', program);
  process.execve?.(path, [path, ...args], environment);
  return exitCodes.configuration;
}

function cannotBecome({ uid, groups }: User, error: unknown): string {
  return (
    `the container runs as root and cannot become ${IMAGE_USER} (${reasonOf(error)}): give it the capabilities SETUID and SETGID, ` +
    `or start it as that user: --user ${uid}${groups.map((gid) => ` --group-add ${gid}`).join('')}\n`
  );
}

/** Warns in the form of the program's own log. */
async function warn(program: string, warnings: readonly string[]): Promise<void> {
  const { createProgramLog, logFormats } = await import('../contract/program-log.ts');
  const format = logFormats.find((each) => each === process.env['LOG_FORMAT']) ?? 'auto';
  const logger = await createProgramLog({ program, level: 'warn', format });
  for (const warning of warnings) logger.warn(warning);
}
