import { InvalidArgumentError, Option, type Command } from 'commander';
import { z } from 'zod';
import { exitCodes } from '../exit-codes.ts';
import {
  apiScopes,
  apiTokenNameSchema,
  apiTokensFormat,
  newApiToken,
  type ApiScope,
} from '../http/api-tokens.ts';
import { newTicket, ticketNameSchema, ticketsFormat } from '../realms/registration-tickets.ts';
import {
  addToSecretsFile,
  removeFromSecretsFile,
  SecretsFileError,
  type SecretEntry,
  type SecretsFormat,
} from '../secrets/secrets-file.ts';

/** `quay-build-manager token` and `ticket`: who may use the API, and who may register as a worker, in a file of hashes each. */

/** Adds `quay-build-manager token` to the program. */
export function addTokenCommand(program: Command): void {
  program
    .command('token')
    .description(
      "make a token for the API, print it once, and put its hash into the manager's API_TOKENS_FILE",
    )
    .argument(
      '<name>',
      'whose it is: the name that builds say who submitted them',
      readName(apiTokenNameSchema),
    )
    .addOption(
      new Option('--file <path>', 'the file of tokens; made when it does not exist')
        .env('API_TOKENS_FILE')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--scope <scope...>',
        'what it may do: read looks, write submits and cancels, credentials sets those of namespaces, admin does all',
      )
        .choices(apiScopes)
        .default(['read', 'write']),
    )
    .option('--revoke', 'take the token out of the file: it is good for nothing from then on')
    .action(async (name: string, { file, scope, revoke }: FileOptions & { scope: ApiScope[] }) => {
      const { token, entry } = newApiToken(name, scope);
      process.exitCode = await changeSecretsFile(file, apiTokensFormat, entry, revoke ? null : token);
    });
}

/** Adds `quay-build-manager ticket` to the program. */
export function addTicketCommand(program: Command): void {
  program
    .command('ticket')
    .description(
      "make a ticket by which workers register, print it once, and put its hash into the manager's REGISTRATION_TICKETS_FILE",
    )
    .argument(
      '<name>',
      "whose it is: the worker's WORKER_ID, or what its REGISTRATION_NAME says",
      readName(ticketNameSchema),
    )
    .addOption(
      new Option('--file <path>', 'the file of tickets; made when it does not exist')
        .env('REGISTRATION_TICKETS_FILE')
        .makeOptionMandatory(),
    )
    .option(
      '--revoke',
      'take the ticket out of the file: nobody registers by it any more. Who did is still connected: quay-build workers forget',
    )
    .action(async (name: string, { file, revoke }: FileOptions) => {
      const { ticket, entry } = newTicket(name);
      process.exitCode = await changeSecretsFile(file, ticketsFormat, entry, revoke ? null : ticket);
    });
}

interface FileOptions {
  readonly file: string;
  readonly revoke?: true;
}

function readName(schema: z.ZodType<string>): (text: string) => string {
  return (text) => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(z.prettifyError(parsed.error));
  };
}

/** Adds an entry to a file and prints its secret, or, where that is null, takes out the entry of this name. */
async function changeSecretsFile<Entry extends SecretEntry>(
  file: string,
  format: SecretsFormat<Entry>,
  entry: Entry,
  secret: string | null,
): Promise<number> {
  try {
    if (secret !== null) {
      await addToSecretsFile(file, format, entry);
      process.stdout.write(`${secret}\n`);
    } else if (!(await removeFromSecretsFile(file, format, entry.name))) {
      process.stderr.write(`${file} has no entry of the name ${entry.name}\n`);
      return exitCodes.cannotStart;
    }
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof SecretsFileError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return exitCodes.cannotStart;
  }
}
