import type { Command } from 'commander';
import type { InSession } from '../session.ts';
import { readLimit } from './read-limit.ts';
import { drainWorker, forgetWorker, listWorkers, resumeWorker, showWorker } from './workers.ts';

/** Adds what is about workers to the command line. */
export function addWorkerCommands(program: Command, inSession: InSession): void {
  const workers = program
    .command('workers')
    .description('list the workers that are connected; show, drain, resume and forget one');
  const json = ['--json', 'print it as JSON'] as const;
  workers
    .command('list', { isDefault: true })
    .alias('ls')
    .description(
      'list the workers that are connected, and those that are drained (what happens without a command)',
    )
    .option(...json)
    .action(inSession((session, options: object) => listWorkers(session, options)));
  workers
    .command('show')
    .description('show a worker, connected or not, and what it has done')
    .argument('<worker>', 'its id')
    .option('-n, --limit <number>', 'how many of its tries, up to 500 (default: 20)', readLimit)
    .option(...json)
    .action(inSession((session, id: string, options: object) => showWorker(session, id, options)));
  workers
    .command('drain')
    .description('give a worker no more builds, also when it comes back; what it builds goes on')
    .argument('<worker>', 'its id')
    .option('-w, --wait', 'return when it builds nothing any more')
    .option(...json)
    .action(inSession((session, id: string, options: object) => drainWorker(session, id, options)));
  workers
    .command('resume')
    .description('give a drained worker builds again')
    .argument('<worker>', 'its id')
    .option(...json)
    .action(inSession((session, id: string, options: object) => resumeWorker(session, id, options)));
  workers
    .command('forget')
    .description(
      "end a worker's sessions: what it builds goes back to the queue at once. It may register anew, unless its ticket was revoked",
    )
    .argument('<worker>', 'its id')
    .action(inSession((session, id: string) => forgetWorker(session, id)));
}
