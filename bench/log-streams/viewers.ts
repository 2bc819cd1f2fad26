import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { quantile } from '../row.ts';
import type { ViewersReply, ViewersRequest } from './messages.ts';

/** A process of people who follow a log each, as the command line does: the same events, over connections of their own. */

/** A line as the workers print it: its number in its log, and when it was printed. */
const LINE = /"text":"line (\d+) ([\d.]+) /;

const times: number[] = [];
let gaps = 0;
const views: Promise<void>[] = [];

async function open(url: string, build: string): Promise<IncomingMessage> {
  const request = get(`${url}/api/v1/builds/${build}/log`, { headers: { accept: 'text/event-stream' } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`a log was answered with ${response.statusCode}`);
  return response;
}

async function read(response: IncomingMessage): Promise<void> {
  let rest = '';
  let next = 0;
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    const time = performance.timeOrigin + performance.now();
    const events = (rest + chunk).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const [, number, printed] = LINE.exec(event) ?? [];
      if (number === undefined) continue;
      if (Number(number) !== next) gaps += 1;
      next = Number(number) + 1;
      times.push(time - Number(printed));
    }
  }
}

async function view(url: string, builds: readonly string[]): Promise<void> {
  for (const build of builds) views.push(read(await open(url, build)));
}

async function report(): Promise<ViewersReply> {
  await Promise.all(views);
  return { lines: times.length, gaps, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

process.on('message', (message: ViewersRequest) => {
  const done = message.type === 'view' ? view(message.url, message.builds) : report();
  void done.then((reply) => process.send?.(reply ?? {}));
});
process.on('disconnect', () => process.exit());
