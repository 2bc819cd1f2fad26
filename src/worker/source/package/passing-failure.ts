import { formatDuration } from '../../../contract/words.ts';
import type { SourceLimits } from '../limits.ts';
import { maskUrl, type PackageAddress } from './address.ts';

/** What may go well at the next try; its message is fit for the user. */
export class PassingFailure extends Error {}

/** Why a connection failed, in words that hold nothing of the URL but its origin. */
export function asPassing(error: unknown, { url }: PackageAddress, limits: SourceLimits): PassingFailure {
  const code = codeOf(error);
  const where = maskUrl(url);
  if (error instanceof Error && error.message.includes('(407)')) {
    return new PassingFailure(`${where} could not be reached: the proxy asks for credentials`);
  }
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return new PassingFailure(
        `${where} could not be connected to within ${formatDuration(limits.connectMs)}`,
      );
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return new PassingFailure(`${where} sent nothing for ${formatDuration(limits.stallMs)}`);
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'ECONNRESET':
      return new PassingFailure(`${where} closed the connection before the package was complete`);
    default:
      return new PassingFailure(`${where} could not be reached (${code})`);
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
