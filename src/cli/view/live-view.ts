import { styleText } from 'node:util';
import type { Build, LogRecord } from '../../contract/api.ts';
import { createLogText } from '../../contract/log-text.ts';
import { isFinal } from '../../contract/phases.ts';
import { DRAW_EVERY_MS, TRANSFERS_SHOWN } from '../limits.ts';
import type { SendProgress } from '../submit/upload.ts';
import { describeAccepted } from './describe.ts';
import { fitColumns, formatBytes, formatDuration, safeForTerminal } from './text.ts';
import type { ProgressView } from './view.ts';
import { describePlace, describeWaiting } from './waiting.ts';

/** The terminal that a live view draws on, and the clock that it reads. */
export interface LiveTerminal {
  write(text: string): void;
  columns(): number;
  /** Milliseconds since 1970. */
  now(): number;
}

const CLEAR_BELOW = '\u001b[0J';
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const BAR_COLUMNS = 24;

/**
 * The log scrolls above; below it stay a line that says where the build stands, and one for each transfer. Drawn anew when something
 * has changed, a few times a second.
 */
export function createLiveView(terminal: LiveTerminal): ProgressView {
  const text = createLogText();
  const transfers = new Map<string, NonNullable<LogRecord['progress']>>();
  let build: Build | null = null;
  let sending: SendProgress | null = null;
  let away = false;
  /** The last line of the log while it is open: it is printed when it is whole. */
  let open = '';
  /** Whole lines that were not printed yet. */
  let printable = '';
  let drawn = 0;
  let ended = false;
  const startedAt = terminal.now();

  const lines = (): string[] => {
    if (away) return ['the manager is away; trying to reach it again'];
    if (build === null) return sending === null ? [] : [sendingLine(sending)];
    if (isFinal(build.state)) return [];
    return [
      `${statusLine(build)}  ${formatDuration(terminal.now() - startedAt)}`,
      ...[...transfers.values()].slice(-TRANSFERS_SHOWN).map(transferLine),
    ];
  };

  const draw = (): void => {
    const shown = ended ? [] : lines().map((line) => fitColumns(onOneLine(line), terminal.columns() - 1));
    const up = drawn === 0 ? '' : `\r\u001b[${drawn}A`;
    terminal.write(`${up}${CLEAR_BELOW}${printable}${shown.map((line) => `${line}\n`).join('')}`);
    printable = '';
    drawn = shown.length;
  };

  terminal.write(HIDE_CURSOR);
  const timer = setInterval(draw, DRAW_EVERY_MS);

  return {
    sending(progress) {
      sending = progress;
    },
    accepted(accepted, isNew) {
      build = accepted;
      printable += describeAccepted(accepted, isNew);
    },
    record(record) {
      noteTransfer(transfers, record);
      const [last = '', ...whole] = (open + safeForTerminal(text.add(record))).split('\n').reverse();
      open = last;
      printable += whole
        .reverse()
        .map((line) => `${decorate(line, record)}\n`)
        .join('');
    },
    build(changed) {
      build = changed;
    },
    disconnected() {
      away = true;
    },
    connected() {
      away = false;
    },
    end() {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      if (open !== '') printable += `${open}\n`;
      draw();
      terminal.write(SHOW_CURSOR);
    },
  };
}

/** A line that stays where it is drawn, whatever is in its names. It may be cut, so that not even a colour may be in it. */
function onOneLine(line: string): string {
  return safeForTerminal(line, { colours: false }).replaceAll('\n', ' ');
}

function decorate(line: string, { stream }: LogRecord): string {
  if (stream === 'phase') return styleText(['bold', 'cyan'], line, { validateStream: false });
  if (stream === 'note') return styleText('yellow', line, { validateStream: false });
  return line;
}

/** Transfers belong to their phase, and go when they are done. */
function noteTransfer(
  transfers: Map<string, NonNullable<LogRecord['progress']>>,
  { stream, progress }: LogRecord,
): void {
  if (stream === 'phase') transfers.clear();
  if (!progress) return;
  const done = progress.total !== null && (progress.current ?? 0) >= progress.total;
  if (done) transfers.delete(progress.id);
  else transfers.set(progress.id, progress);
}

function statusLine(build: Build): string {
  const { state, phase, progress } = build;
  if (state === 'waiting') return `${describeWaiting(build)}  ${describePlace(build)}`;
  if (state !== 'running') return 'starting a worker';
  if (phase === 'building' && progress) {
    const { step, steps, instruction } = progress;
    const bar = steps === null ? '' : `${formatBar(step - 1, steps)} `;
    return `building ${bar}step ${step}${steps === null ? '' : `/${steps}`}  ${instruction.slice(0, 60)}`;
  }
  return phase ?? 'running';
}

function transferLine({ id, current, total }: NonNullable<LogRecord['progress']>): string {
  const amount = current === null ? '' : formatBytes(current);
  return total === null
    ? `  ${id}  ${amount}`
    : `  ${id}  ${formatBar(current ?? 0, total)} ${amount} / ${formatBytes(total)}`;
}

function sendingLine({ what, current, total }: SendProgress): string {
  if (what === 'packing' || total === null) return `packing the folder  ${formatBytes(current)}`;
  return `sending the package ${formatBar(current, total)} ${formatBytes(current)} / ${formatBytes(total)}`;
}

function formatBar(current: number, total: number): string {
  const full = total <= 0 ? 0 : Math.min(BAR_COLUMNS, Math.round((current / total) * BAR_COLUMNS));
  return `▕${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)}▏`;
}
