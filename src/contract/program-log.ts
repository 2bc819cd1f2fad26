import { pino, type Logger } from 'pino';

/** How both programs write their own log. */

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export const logFormats = ['auto', 'json', 'pretty'] as const;

export interface ProgramLogOptions {
  readonly program: string;
  readonly level: (typeof logLevels)[number];
  /** `auto`: for people on a terminal, else JSON. */
  readonly format: (typeof logFormats)[number];
  /** Hides secrets in a line, whoever wrote it. */
  readonly mask?: (line: string) => string;
}

/** A program's own log, on standard output. */
export async function createProgramLog({ program, level, format, mask }: ProgramLogOptions): Promise<Logger> {
  const forPeople = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  const settings = {
    level,
    base: { program },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(mask ? { hooks: { streamWrite: mask } } : {}),
  };
  if (forPeople) {
    const { default: pretty } = await import('pino-pretty');
    return pino(settings, pretty({ ignore: 'program', sync: true }));
  }
  return pino(
    { ...settings, formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ dest: 1, sync: true }),
  );
}
