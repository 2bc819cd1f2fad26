import { readBoundedSync } from '../../contract/bounded-file.ts';
import { reasonOf } from '../../contract/reason.ts';
import { CliError, exitCodes } from '../failure.ts';
import { TOKEN_FILE_MAX_BYTES } from '../limits.ts';

/** What a header can carry. */
const TOKEN = /^[!-~]+$/;

/**
 * The token that the manager is shown: `QUAY_BUILD_TOKEN`, or what the file of `QUAY_BUILD_TOKEN_FILE` holds without the space at
 * its end; null without either.
 *
 * @throws CliError for both of them, for a file that cannot be read or is empty, and for what cannot be a token.
 */
export function readToken(env: NodeJS.ProcessEnv): string | null {
  const token = env['QUAY_BUILD_TOKEN'] ?? '';
  const path = env['QUAY_BUILD_TOKEN_FILE'] ?? '';
  if (path === '') return token === '' ? null : checked(token, 'QUAY_BUILD_TOKEN');
  if (token !== '') throw usage('QUAY_BUILD_TOKEN and QUAY_BUILD_TOKEN_FILE are both set.', 'Unset one.');
  const content = readWhole(path).trimEnd();
  if (content === '') throw usage(`${path} is empty.`, 'Put the token of the manager into it.');
  return checked(content, path);
}

function checked(token: string, where: string): string {
  if (TOKEN.test(token)) return token;
  throw usage(
    `What ${where} holds is no token: a token is one line of letters, digits and signs, without spaces.`,
    'Put the token of the manager there, as quay-build-manager token printed it, and nothing else.',
  );
}

function readWhole(path: string): string {
  try {
    return readBoundedSync(path, TOKEN_FILE_MAX_BYTES).toString('utf8');
  } catch (error) {
    throw usage(
      `The file of QUAY_BUILD_TOKEN_FILE cannot be read: ${reasonOf(error)}.`,
      'Name the file that holds the token of the manager.',
    );
  }
}

function usage(message: string, help: string): CliError {
  return new CliError(exitCodes.usage, message, help);
}
