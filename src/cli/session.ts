import { createClient, type ManagerClient } from './client/client.ts';
import { readToken } from './client/token.ts';
import type { ExitCode } from './failure.ts';
import { createLiveView } from './view/live-view.ts';
import { createPlainView } from './view/plain-view.ts';
import { isPlain, writeTo, type Write } from './view/streams.ts';
import type { ProgressView } from './view/view.ts';

/** What a command has of the world: the manager, where it prints, and how it is interrupted. */
export interface Session {
  readonly client: ManagerClient;
  /** Standard output: what was asked for. Where it is a terminal, no control sequences but colours reach it. */
  readonly print: Write;
  /** Standard error: what is about it. The same holds. */
  readonly notice: Write;
  /** Shows a build's progress; with `onNotices`, standard output is kept for something else. */
  createView(options: { readonly onNotices: boolean }): ProgressView;
  /** Aborted by the first Ctrl-C or SIGTERM, from when it is first asked for; a command that never does is ended by it, as any program. */
  readonly interrupted: AbortSignal;
}

/** Makes an action of the command line that has its session, and whose exit code is the program's. */
export type InSession = <A extends unknown[]>(
  command: (session: Session, ...args: A) => Promise<ExitCode>,
) => (...args: A) => Promise<void>;

/** Makes the session of this process. `QUAY_BUILD_URL` and `QUAY_BUILD_TOKEN`, or the file of it, say which manager, and who asks. */
export function createSession(process: NodeJS.Process): Session {
  const { env, stdout, stderr } = process;
  let interruption: AbortController | null = null;
  const listen = (): AbortController => {
    const controller = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => controller.abort());
    return controller;
  };
  const print = writeTo(stdout, env);
  const notice = writeTo(stderr, env);
  const isLive = stdout.isTTY && !isPlain(env);
  return {
    client: createClient({
      url: env['QUAY_BUILD_URL'] ?? 'http://127.0.0.1:8686',
      token: readToken(env),
    }),
    print,
    notice,
    get interrupted() {
      return (interruption ??= listen()).signal;
    },
    createView({ onNotices }) {
      if (isLive && !onNotices) {
        const write: Write = (text) => void stdout.write(text);
        return createLiveView({ write, columns: () => stdout.columns, now: Date.now });
      }
      return createPlainView(onNotices ? notice : print, notice);
    },
  };
}
