import pg from 'pg';
import { reasonOf } from '../contract/reason.ts';
import { connectionOptions, disconnect, type Address } from './database.ts';
import { StoreUnusable } from './errors.ts';

/** The oldest that the statements are tested on, as `server_version_num`. */
const OLDEST_SERVER = 150_000;

/**
 * Opens one connection, for work that is no statement of the store's. Fails with {@link StoreUnusable}; no error of the client's becomes
 * its cause: one about a URL carries it whole, with its password.
 */
export async function connect(address: Address): Promise<pg.Client> {
  try {
    const client = new pg.Client(connectionOptions(address));
    // What is lost is met by the statement that is under way.
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ version: number; name: string }>(
      "select current_setting('server_version_num')::integer as version, current_setting('server_version') as name",
    );
    const [server] = rows;
    if (server && server.version >= OLDEST_SERVER) return client;
    await disconnect(client);
    throw new Error(`it is PostgreSQL ${server?.name ?? ''}, and 15 is the oldest that serves`);
  } catch (error) {
    const help =
      address.connectionString === undefined
        ? ''
        : ' Check DATABASE_URL, as postgresql://USER:PASSWORD@HOST:5432/DATABASE, ' +
          'that the server is up, and that the user owns the database.';
    throw new StoreUnusable(`The database cannot be used: ${messageOf(error)}.${help}`);
  }
}

function messageOf(error: unknown): string {
  // One for each address of the host.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return reasonOf(error);
}
