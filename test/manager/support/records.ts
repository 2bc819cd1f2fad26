import type { LogRecord } from '../../../src/contract/api.ts';

/** A record of a log in which the first step of the first try builds. */
export const record = (seq: number, text: string, stream: LogRecord['stream'] = 'output'): LogRecord => ({
  try: 1,
  seq,
  time: '2026-01-02T03:04:05.678Z',
  phase: 'building',
  step: 1,
  stream,
  text,
});
