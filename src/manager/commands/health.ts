import type { Command } from 'commander';
import { problemSchema } from '../../contract/api.ts';
import { reasonOf } from '../../contract/reason.ts';
import { exitCodes } from '../exit-codes.ts';
import { authorityOf, isEveryAddress, type ListenAddress } from '../listen-address.ts';
import { configOption, withSettings } from './with-settings.ts';

/** `quay-build-manager health`: for who looks after the manager's process and has no HTTP client, as a container's health check. */

/** How long a manager may take to answer, in milliseconds. */
const ANSWER_WITHIN_MS = 5000;

/** Adds `quay-build-manager health` to the program. */
export function addHealthCommand(program: Command): void {
  program
    .command('health')
    .description(
      'ask the manager of this machine that has the same LISTEN_HTTP whether it is ready (GET /readyz): exits with 0 or 1, and says why',
    )
    .option(...configOption)
    .action(async ({ config }: { config?: string }) => {
      process.exitCode = await withSettings(config, ({ LISTEN_HTTP }) => health(LISTEN_HTTP));
    });
}

async function health(address: ListenAddress): Promise<number> {
  const url = `http://${authorityOf(reachable(address))}/readyz`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (answer.ok) {
      process.stdout.write('ready\n');
      return exitCodes.done;
    }
    const problem = problemSchema.safeParse(await answer.json());
    process.stdout.write(`not ready: ${problem.data?.message ?? `${url} answers ${answer.status}`}\n`);
  } catch (error) {
    // fetch tells what happened by the cause of its error.
    const reason = reasonOf(error instanceof Error ? (error.cause ?? error) : error);
    process.stdout.write(`${url} does not answer: ${reason}\n`);
  }
  return exitCodes.unhealthy;
}

/** An address that can be connected to, for one that listens on all. */
function reachable(address: ListenAddress): ListenAddress {
  return isEveryAddress(address)
    ? { ...address, host: address.host.includes(':') ? '::1' : '127.0.0.1' }
    : address;
}
