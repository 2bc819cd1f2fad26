import { createClient, type ManagerClient } from './client.ts';
import { createLiveView } from './live-view.ts';
import { createPlainView, type Write } from './plain-view.ts';
import { safeForTerminal } from './text.ts';
import type { ProgressView } from './view.ts';

/** What a command has of the world: the manager, where it prints, and how it is interrupted. */
export interface Session {
  readonly client: ManagerClient;
  /** Standard output: what was asked for. */
  readonly print: Write;
  /** Standard error: what is about it. */
  readonly notice: Write;
  /** Shows a build's progress; with `onNotices`, standard output is kept for something else. */
  createView(options: { readonly onNotices: boolean }): ProgressView;
  /** A piece of log as standard output may have it: a terminal gets no control sequences but colours. */
  forOutput(text: string): string;
  /** Aborted by the first Ctrl-C. */
  readonly interrupted: AbortSignal;
}

/** Makes the session of this process. `QUAY_BUILD_URL` and `QUAY_BUILD_TOKEN` say which manager, and who asks. */
export function createSession(process: NodeJS.Process): Session {
  const { env, stdout, stderr } = process;
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  const print: Write = (text) => void stdout.write(text);
  const notice: Write = (text) => void stderr.write(text);
  const isLive = stdout.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  return {
    client: createClient({
      url: env['QUAY_BUILD_URL'] ?? 'http://127.0.0.1:8686',
      token: env['QUAY_BUILD_TOKEN'] ?? null,
    }),
    print,
    notice,
    interrupted: interruption.signal,
    forOutput: (text) => (stdout.isTTY ? safeForTerminal(text) : text),
    createView({ onNotices }) {
      if (isLive && !onNotices) {
        return createLiveView({ write: print, columns: () => stdout.columns, now: Date.now });
      }
      return createPlainView(onNotices ? notice : print, notice);
    },
  };
}
