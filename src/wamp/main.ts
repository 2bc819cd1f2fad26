import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { defaultLimits } from './limits.ts';
import { createRouter } from './router.ts';
import { anonymousPolicy, ticketPolicy } from './tickets.ts';
import { isUri } from './uris.ts';
import { attachWebSockets } from './websocket.ts';

/** The router as a program of its own. See docs/router.md. */

const USAGE = `Usage: npm run router -- --realm NAME... [options]

A WAMP v2 router over WebSocket (subprotocol wamp.2.json).

  --listen HOST:PORT      where to listen (127.0.0.1:8080; port 0 for any free one)
  --path PATH             where WebSockets are opened (/); may be given again
  --realm NAME...         a realm to serve; may be given again
  --ticket AUTHID:TICKET  let nobody in but by this ticket; may be given again.
                          Others on this machine can read it in the list of processes: prefer
  --ticket-file FILE      the same, a line AUTHID:TICKET each
  --help                  this text

Prints READY and the URL when it listens. Ends at SIGTERM and SIGINT, after a GOODBYE to every session.
`;

/** A path that the URL of a request can have. */
const PATH = /^\/[^\s?#]*$/;

/** What was asked for on the command line was not understood. */
class UsageError extends Error {}

function readArguments(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      listen: { type: 'string', default: '127.0.0.1:8080' },
      path: { type: 'string', multiple: true, default: ['/'] },
      realm: { type: 'string', multiple: true, default: [] },
      ticket: { type: 'string', multiple: true, default: [] },
      'ticket-file': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const file = values['ticket-file'];
  const lines =
    file === undefined
      ? []
      : readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '');
  return {
    help: values.help,
    ...readAddress(values.listen),
    paths: values.path,
    // Names after the first one of --realm.
    realms: [...values.realm, ...positionals],
    tickets:
      file === undefined && values.ticket.length === 0 ? null : readTickets([...values.ticket, ...lines]),
  };
}

function readAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new UsageError('--listen must be HOST:PORT, as in 127.0.0.1:8080');
  return { host: match[1] ?? match[2] ?? '', port };
}

function readTickets(entries: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    entries.map((entry) => {
      const colon = entry.indexOf(':');
      if (colon < 1 || colon === entry.length - 1) {
        throw new UsageError('a ticket must be AUTHID:TICKET, as in joe:secret');
      }
      return [entry.slice(0, colon), entry.slice(colon + 1)];
    }),
  );
}

function main(): void {
  const { help, host, port, paths, realms, tickets } = readArguments(process.argv.slice(2));
  if (help) {
    process.stdout.write(USAGE);
    return;
  }
  if (realms.length === 0) throw new UsageError('--realm must name at least one realm');
  const odd = realms.find((realm) => !isUri(realm, defaultLimits.uriLength));
  if (odd !== undefined) throw new UsageError(`--realm must be a URI, as in realm1, not "${odd}"`);
  const wrongPath = paths.find((path) => !PATH.test(path));
  if (wrongPath !== undefined) {
    throw new UsageError(
      `--path must begin with /, as in /ws, not "${wrongPath}", and have no ?, # or space in it`,
    );
  }
  const router = createRouter();
  const policy = tickets ? ticketPolicy(tickets) : anonymousPolicy;
  for (const realm of realms) router.addRealm(realm, policy, undefined);
  const server = createServer((_request, response) => {
    response.writeHead(426, { 'Content-Type': 'text/plain', Upgrade: 'websocket', Connection: 'close' });
    response.end('This is a WAMP router: open a WebSocket with the subprotocol wamp.2.json.\n');
  });
  const transport = attachWebSockets(router, server, { paths });
  server.on('error', (error) => fail(`cannot listen on ${host}:${port}: ${error.message}`));
  server.listen(port, host, () => {
    const { address, family, port: actual } = server.address() as AddressInfo;
    const name = family === 'IPv6' ? `[${address}]` : address;
    process.stdout.write(`READY\nws://${name}:${actual}${paths[0] ?? '/'}\n`);
  });
  const stop = () => {
    server.close();
    void transport.close().then(() => server.closeAllConnections());
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

function fail(message: string): void {
  process.stderr.write(`router: ${message}\n`);
  process.exitCode = 2;
}

try {
  main();
} catch (error) {
  // What parseArgs and the file system say names the argument or the file.
  fail(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
}
