import { z } from 'zod';
import {
  newHashedSecret,
  secretHashSchema,
  watchSecretsFile,
  type SecretEntry,
  type SecretsFileError,
  type SecretsFormat,
} from '../secrets/secrets-file.ts';
import { REGISTRATION_TICKETS_MAX } from '../limits.ts';

/**
 * Tickets by which workers register (`REGISTRATION=ticket`; WAMP, "Ticket-based Authentication"), from a file that holds their names
 * and hashes, never themselves. docs/extensions.md has the words that pass.
 */

/** Whose a ticket is: the `authid` of the worker, or of all the workers that share it. */
export const ticketNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][\w.@-]{0,127}$/,
    'must be up to 128 of [A-Za-z0-9_.@-], beginning with a letter or digit',
  );

/** The file of `REGISTRATION_TICKETS_FILE`. */
export const ticketsFormat: SecretsFormat<SecretEntry> = {
  schema: z
    .array(z.strictObject({ name: ticketNameSchema, hash: secretHashSchema }))
    .max(REGISTRATION_TICKETS_MAX),
  example: 'a list like [{"name":"builder-7","hash":"sha256:…"}], as quay-build-manager ticket writes it',
};

export interface RegistrationTickets {
  /** Whether this is the ticket of that name. Looks first whether the file has changed. */
  verify(name: string, ticket: string): Promise<boolean>;
}

/**
 * Reads the tickets file, and again when it changes, as {@link watchSecretsFile} says.
 *
 * @throws SecretsFileError when the file cannot be used at the start.
 */
export async function loadRegistrationTickets(
  path: string,
  onReloadError: (error: SecretsFileError) => void,
): Promise<RegistrationTickets> {
  const tickets = await watchSecretsFile(path, ticketsFormat, onReloadError);
  return { verify: async (name, ticket) => (await tickets.find(ticket))?.name === name };
}

/** Makes a ticket of 256 random bits, and the entry for the file that knows it. The name follows {@link ticketNameSchema}. */
export function newTicket(name: string): { ticket: string; entry: SecretEntry } {
  const { secret, hash } = newHashedSecret('qt_');
  return { ticket: secret, entry: { name, hash } };
}
