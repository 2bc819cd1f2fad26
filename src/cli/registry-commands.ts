import type { Command } from 'commander';
import { listCredentials, removeCredential, setCredential } from './credentials.ts';
import type { InSession } from './session.ts';

/** Adds what is about registries to the command line. */
export function addRegistryCommands(program: Command, inSession: InSession): void {
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
