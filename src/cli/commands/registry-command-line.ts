import type { Command } from 'commander';
import type { InSession } from '../session.ts';
import { listCredentials, removeCredential, setCredential } from './credentials.ts';
import { setReadable, showReadable } from './readable.ts';

/** Adds what is about registries to the command line. */
export function addRegistryCommands(program: Command, inSession: InSession): void {
  addCredentials(program, inSession);
  addReadable(program, inSession);
}

function addCredentials(program: Command, inSession: InSession): void {
  const credentials = program
    .command('credentials')
    .description("who a namespace's builds are at registries: stored sealed, never shown again");
  const namespace = [
    '-n, --namespace <namespace>',
    'whose builds: what comes before the last / of repositories',
  ] as const;
  const registry = ['--registry <host>', 'the registry: host or host:port, docker.io for the hub'] as const;
  credentials
    .command('list')
    .alias('ls')
    .description('list the registries that a namespace has credentials for, without the passwords')
    .requiredOption(...namespace)
    .option('--json', 'print them as JSON')
    .action(
      inSession((session, options: Parameters<typeof listCredentials>[1]) =>
        listCredentials(session, options),
      ),
    );
  credentials
    .command('set')
    .description("set who a namespace's builds are at a registry, from their next try on")
    .requiredOption(...namespace)
    .requiredOption(...registry)
    .requiredOption('--username <name>', 'the user, or the name of a robot')
    .requiredOption('--password-stdin', 'read the password from standard input')
    .action(
      inSession((session, options: Parameters<typeof setCredential>[1]) =>
        setCredential(session, options, process.stdin),
      ),
    );
  credentials
    .command('remove')
    .alias('rm')
    .description('remove the credentials of a namespace for a registry')
    .requiredOption(...namespace)
    .requiredOption(...registry)
    .action(
      inSession((session, options: Parameters<typeof removeCredential>[1]) =>
        removeCredential(session, options),
      ),
    );
}

function addReadable(program: Command, inSession: InSession): void {
  const readable = program
    .command('readable')
    .description(
      "what a namespace's builds may pull of the manager's registry beside its own; it needs a token with the scope admin",
    );
  const namespace = ['-n, --namespace <namespace>', 'whose builds'] as const;
  const json = ['--json', 'print it as JSON'] as const;
  readable
    .command('show')
    .description('show what a namespace may read')
    .requiredOption(...namespace)
    .option(...json)
    .action(
      inSession((session, options: Parameters<typeof showReadable>[1]) => showReadable(session, options)),
    );
  readable
    .command('set')
    .description(
      'set what a namespace may read, in the place of what it might before; none: nothing more than its own',
    )
    .argument('[repositories...]', "repositories, 'NAMESPACE/*' for all of a namespace, '*' for all")
    .requiredOption(...namespace)
    .option(...json)
    .action(
      inSession((session, repositories: string[], options: Parameters<typeof setReadable>[2]) =>
        setReadable(session, repositories, options),
      ),
    );
}
