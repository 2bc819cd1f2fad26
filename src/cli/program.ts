import { Command, Option } from 'commander';
import { buildStates } from '../contract/phases.ts';
import { version } from '../contract/version.ts';
import { audit, type AuditOptions } from './commands/audit.ts';
import { cancel, list, log, show, submit, type ListOptions, type SubmitOptions } from './commands/builds.ts';
import { addNamespaceCommands } from './commands/namespaces.ts';
import { readLimit } from './commands/read-limit.ts';
import { addRegistryCommands } from './commands/registry-command-line.ts';
import { addWorkerCommands } from './commands/worker-command-line.ts';
import type { InSession } from './session.ts';

/** What `quay-build` takes. docs/cli.md */

const ENVIRONMENT = `
Environment:
  QUAY_BUILD_URL         the manager's HTTP API (default http://127.0.0.1:8686)
  QUAY_BUILD_TOKEN       the token that the manager asks for, if it does
  QUAY_BUILD_TOKEN_FILE  the file that holds it, instead

Exit codes:
  0    the build completed, or what was asked was done (submit --detach: it was accepted)
  1    the build failed
  2    the command was not understood, or its source cannot be sent
  3    the manager cannot be reached, or refused
  4    the build was cancelled
  70   the command line met an unexpected error, or its output cannot be written
  130  Ctrl-C, or SIGTERM: the build goes on`;

const EXAMPLES = `
Examples:
  quay-build submit . --repository team/app
  quay-build submit . --repository team/app --tag 1.4 --tag latest --dockerfile docker/Dockerfile
  quay-build submit https://git.example/team/app.git#main --repository team/app --detach
  quay-build log 3f2a --follow
  quay-build submit . --repository team/app --json | jq -r '.digests.latest'`;

const SUBMIT_HELP = `
SOURCE is one of
  a folder          sent as a tar.gz, leaving out what .dockerignore names
  a file            an archive (tar, tar.gz, zip) or a Dockerfile, sent as it is
  a git URL         https://HOST/PATH.git, with #REF for a branch, a tag or a whole commit id, and
                    #REF:FOLDER for a folder in it; git+https://… where the URL does not end in .git;
                    ssh://git@HOST/PATH or git@HOST:PATH, with --git-key
  an archive's URL  any other http or https URL, which the worker fetches

Progress is shown until the build has ended. In a pipe it is plain lines. With --json, standard output holds the
build as the API shows it and nothing else; the log goes to standard error.

Examples:
  quay-build submit . --repository team/app
  quay-build submit ./Dockerfile --repository team/tools --tag 2026-11
  quay-build submit https://git.example/team/app.git#v1.4 --repository team/app --tag 1.4
  quay-build submit https://git.example/mono.git#main:services/api --repository team/api
  quay-build submit git@git.example:team/app.git#main --git-key deploy-key --repository team/app
  ID=$(quay-build submit . --repository team/app --detach)`;

function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** The commands, their options and their help, from which the manual page and the completion of shells are made, too. */
export function createProgram(inSession: InSession): Command {
  const program = new Command('quay-build')
    .description('Builds images on a build farm: submit a source, follow its log, find its digest.')
    .version(version)
    .addHelpText('after', EXAMPLES + '\n' + ENVIRONMENT)
    .showHelpAfterError('Run it with --help to see what it takes.')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();

  addSubmit(program, inSession);
  program
    .command('log')
    .description('print the log of a build')
    .argument('<id>', 'the id of the build, or its beginning')
    .option('-f, --follow', 'go on until the build has ended; the exit code says how')
    .option('--json', 'print a JSON record a line')
    .action(inSession((session, id: string, options: object) => log(session, id, options)));

  program
    .command('show')
    .alias('status')
    .description('show a build: its state, why it waits, digests, tries and error')
    .argument('<id>', 'the id of the build, or its beginning')
    .option('--json', 'print it as JSON')
    .action(inSession((session, id: string, options: object) => show(session, id, options)));

  program
    .command('list')
    .alias('ls')
    .description('list builds, newest first')
    .addOption(new Option('--state <state>', 'only those in this state').choices(buildStates))
    .option('-r, --repository <namespace/name>', 'only those of this repository')
    .option('-n, --limit <number>', 'how many, up to 500 (default: 50)', readLimit)
    .option('--json', 'print them as JSON')
    .action(inSession((session, options: ListOptions) => list(session, options)));

  program
    .command('cancel')
    .description('cancel a build')
    .argument('<id>', 'the id of the build, or its beginning')
    .option('--json', 'print the build as JSON')
    .action(inSession((session, id: string, options: object) => cancel(session, id, options)));

  program
    .command('audit')
    .description('list who did what, newest first; it needs a token with the scope admin')
    .option('--actor <name>', 'only what this one did')
    .option('--action <action>', 'only this, as build.cancel, or all of a kind, as build')
    .option('--object <id>', 'only what was done to this: the whole id of a build, a worker, …')
    .option(
      '--since <time>',
      'only from then on: 2026-11-20, 2026-11-20T08:00Z, or how long ago: 30m, 2h, 7d',
    )
    .option('--until <time>', 'only before that time')
    .option('-n, --limit <number>', 'how many, up to 500 (default: 50; with --json: all)', readLimit)
    .option('--json', 'print a JSON entry a line')
    .action(inSession((session, options: AuditOptions) => audit(session, options, Date.now())));

  addWorkerCommands(program, inSession);
  addNamespaceCommands(program, inSession);
  addRegistryCommands(program, inSession);
  return program;
}

function addSubmit(program: Command, inSession: InSession): void {
  program
    .command('submit')
    .description('submit a build and follow it to its end')
    .argument('<source>', 'a folder, an archive, a Dockerfile, a git URL, or the URL of an archive')
    .requiredOption('-r, --repository <namespace/name>', 'where the image goes in the registry')
    .option('--registry <host>', "the registry; the manager's own when absent")
    .option('-t, --tag <tag>', 'a tag; may be given several times (default: latest)', collect)
    .option('-f, --dockerfile <path>', 'the Dockerfile, relative to the context (default: Dockerfile)')
    .option('-c, --context <folder>', 'the build context within the source (default: its root)')
    .option(
      '--build-arg <name=value>',
      'a value for an ARG of the Dockerfile; NAME alone takes it from the environment; may be given several times',
      collect,
    )
    .option('--target <stage>', 'the stage of the Dockerfile to build (default: the last)')
    .option('--label <name=value>', 'a label of the image; may be given several times', collect)
    .option('--no-oci-labels', 'do not label the image with its source, revision, base and time')
    .option('--platform <os/architecture>', "what the image is for (default: the engine's own platform)")
    .option(
      '--cache-from <image>',
      'an image whose layers may serve as cache; may be given several times',
      collect,
    )
    .option(
      '--cache-to <tag>',
      'a further tag of the repository, for --cache-from of later builds; may be given several times',
      collect,
    )
    .option('--memory <bytes>', 'what each step may use, as 512m or 2g, where the engine keeps it')
    .option('--cpus <number>', 'CPUs that each step may use, as 1.5, where the engine keeps it')
    .option('--timeout <time>', 'stop the build after this time, as 90s, 30m or 2h')
    .option('--silence-timeout <time>', 'stop the build when its steps print nothing for this time')
    .option('--max-tries <number>', 'how often it is tried where it is not at fault, up to 10 (default: 3)')
    .addOption(
      new Option('--network <network>', 'what steps are connected to (default: default)').choices([
        'default',
        'none',
        'host',
      ]),
    )
    .option(
      '--push-to <reference>',
      'push the image there too, as registry.example/team/app:v1, where workers allow it; may be given several times',
      collect,
    )
    .option(
      '--worker-label <label>',
      'what the worker must say of itself: NAME=VALUE, NAME=*, NAME!=VALUE or !NAME; may be given several times',
      collect,
    )
    .option('--require-worker', 'fail at once when no worker and no executor could ever take the build')
    .option(
      '--priority <number>',
      'among the waiting builds of the namespace: higher goes first (default: 0)',
    )
    .option(
      '--not-before <time>',
      'start at this time or later, as 2026-11-20T08:00Z, or in so long, as 30m or 2h',
    )
    .option('--exclusive', 'wait while another build of the repository runs that has one of the tags')
    .option(
      '--dedupe-key <key>',
      'make no other build while one of the namespace with this key has not ended',
    )
    .option(
      '--secret <id=name,src=file>',
      'what steps may mount with RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE; may be given several times',
      collect,
    )
    .option(
      '--registry-auth <host=host,user=user,src=file>',
      'who the build is at a registry: host=HOST,user=USER and src=FILE or env=VARIABLE of the password; may be given several times',
      collect,
    )
    .option(
      '--ssh <id=file>',
      'a private key that steps may use with RUN --mount=type=ssh,id=ID (without ID=: default); may be given several times',
      collect,
    )
    .option(
      '--git-key <file>',
      'the private key for a git URL over ssh, without a passphrase: a file, or env=VARIABLE',
    )
    .option('--git-token <file>', 'the password or token for a git URL over https: a file, or env=VARIABLE')
    .option('--git-user <name>', 'the user of --git-token (default: git)')
    .addOption(new Option('--follow', 'follow the log to the end of the build (default)').conflicts('detach'))
    .option('-d, --detach', 'print the id and return at once')
    .option('--json', 'print the build as JSON, the log on standard error')
    .addHelpText('after', SUBMIT_HELP)
    .action(inSession((session, source: string, options: SubmitOptions) => submit(session, source, options)));
}
