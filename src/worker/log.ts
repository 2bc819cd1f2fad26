import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { SecretKeeper } from './secrets.ts';

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export const logFormats = ['auto', 'json', 'pretty'] as const;

export interface LogOptions {
  readonly level: (typeof logLevels)[number];
  /** `auto`: for people on a terminal, else JSON. */
  readonly format: (typeof logFormats)[number];
}

/** The worker's own log, on standard output. Secrets that are in use are hidden, whoever writes them. */
export function createLogger({ level, format }: LogOptions, secrets: SecretKeeper): Logger {
  const forPeople = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  const settings = {
    level,
    base: { program: 'quay-builder' },
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: (line: string) => secrets.mask(line) },
  };
  return forPeople
    ? pino(settings, pretty({ ignore: 'program', sync: true }))
    : pino(
        { ...settings, formatters: { level: (label) => ({ level: label }) } },
        pino.destination({ dest: 1, sync: true }),
      );
}
