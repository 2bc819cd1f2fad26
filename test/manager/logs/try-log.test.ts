import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import type { LogRecord } from '../../../src/contract/api.ts';
import { createMasker } from '../../../src/contract/masking.ts';
import { createTryLog, type TryLog } from '../../../src/manager/logs/try-log.ts';
import type { Lease } from '../../../src/store/index.ts';
import {
  claimNew,
  claimRequest,
  longLimits,
  openTestStore,
  type TestStore,
} from '../../store/support/store.ts';

/** One try's log, on a real store. */

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

interface Subject extends AsyncDisposable {
  readonly log: TryLog;
  readonly lease: Lease;
  readonly store: TestStore;
  /** The ordinals of the steps of which the store was told at once. */
  readonly stepsTold: readonly (readonly number[])[];
  records(): Promise<readonly LogRecord[]>;
}

async function subject(logMaxBytes = 2 ** 30): Promise<Subject> {
  const store = await openTestStore(server);
  const { lease } = await claimNew(store);
  const stepsTold: number[][] = [];
  const leases: typeof store.leases = {
    ...store.leases,
    beginStep: (of, step, before = []) => {
      stepsTold.push([...before, step].map(({ ordinal }) => ordinal));
      return store.leases.beginStep(of, step, before);
    },
  };
  const log = createTryLog(lease, {
    logs: store.logs,
    leases,
    logMaxBytes,
    masker: createMasker(['correct-horse']),
    now: () => 0,
    signal: new AbortController().signal,
  });
  return {
    log,
    lease,
    store,
    stepsTold,
    records: async () => (await store.logs.read(lease.buildId, { try: 0, seq: 0 }, 1000)).records,
    [Symbol.asyncDispose]: () => store.close(),
  };
}

const stream = (text: string): string => JSON.stringify({ stream: text });
const phase = '{"status_data":{}}';

describe("a try's log", () => {
  it('numbers messages in the order in which they came, also when their calls came at once', async () => {
    await using it = await subject();
    const answers = await Promise.all([
      it.log.message('building', phase),
      it.log.message('building', stream('Step 1/2 : FROM scratch\n')),
      it.log.message('building', stream('one\n')),
      it.log.message('building', stream('Step 2/2 : RUN true\n')),
      it.log.message('building', stream('two\n')),
    ]);
    expect(answers).toEqual([true, true, true, true, true]);
    await it.log.flush();
    expect((await it.records()).map(({ seq, step, text }) => [seq, step, text])).toEqual([
      [1, null, 'building'],
      [2, 1, 'Step 1/2 : FROM scratch\n'],
      [3, 1, 'one\n'],
      [4, 2, 'Step 2/2 : RUN true\n'],
      [5, 2, 'two\n'],
    ]);
  });

  it('stores a batch before it answers, and one that is sent again only once', async () => {
    await using it = await subject();
    const message = (text: string) => ({ phase: 'building', json_data: stream(text), time: 0 });
    expect(await it.log.batch({ sequence: 1, messages: [message('a\n'), message('b\n')] })).toBe(true);
    expect((await it.records()).map(({ text }) => text)).toEqual(['a\n', 'b\n']);
    expect(await it.log.batch({ sequence: 1, messages: [message('a\n'), message('b\n')] })).toBe(true);
    expect(await it.log.batch({ sequence: 2, messages: [message('b\n'), message('c\n')] })).toBe(true);
    expect((await it.records()).map(({ text }) => text)).toEqual(['a\n', 'b\n', 'c\n']);
  });

  it('tells the store at once of the steps of a batch, before the phase that comes after them', async () => {
    await using it = await subject();
    const message = (text: string) => ({ phase: 'building', json_data: stream(text), time: 0 });
    const enter = (name: string) => ({ phase: name, json_data: phase, time: 0 });
    const step = (ordinal: number) => message(`Step ${ordinal}/4 : RUN ${ordinal}\n`);
    const first = [enter('building'), step(1), message(' ---> Using cache\n'), step(2)];
    expect(await it.log.batch({ sequence: 1, messages: first })).toBe(true);
    const second = [step(3), step(4), message('made\n'), enter('pushing')];
    expect(await it.log.batch({ sequence: 5, messages: second })).toBe(true);
    expect(it.stepsTold).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect((await it.records()).map(({ step: of, phase: during }) => [of, during])).toEqual([
      [null, 'building'],
      [1, 'building'],
      [1, 'building'],
      [2, 'building'],
      [3, 'building'],
      [4, 'building'],
      [4, 'building'],
      [4, 'pushing'],
    ]);
    const { store, lease } = it;
    expect(await store.builds.get(lease.buildId)).toMatchObject({ phase: 'pushing', progress: { step: 4 } });
    expect((await store.builds.steps(lease.buildId)).map(({ status }) => status)).toEqual([
      'complete',
      'complete',
      'complete',
      'running',
    ]);
    await store.builds.cancel(lease.buildId, 'tester');
    expect(await it.log.batch({ sequence: 9, messages: [step(1), step(2), enter('pushing')] })).toBe(false);
  });

  it('answers false once the build was cancelled, and stores nothing more', async () => {
    await using it = await subject();
    await it.log.message('building', stream('before\n'));
    await it.log.flush();
    await it.store.builds.cancel(it.lease.buildId, 'tester');
    expect(await it.log.message('pushing', phase)).toBe(false);
    expect(await it.log.message('pushing', stream('after\n'))).toBe(false);
    expect((await it.records()).map(({ text }) => text)).toEqual(['before\n']);
  });

  it('hides secrets across messages, and loses nothing of what only looked like one', async () => {
    await using it = await subject();
    await it.log.message('building', stream('correct-'));
    await it.log.message('building', stream('horse, correct-hor'));
    await it.log.message('building', JSON.stringify({ status: 'Pushing correct-horse' }));
    await it.log.message('building', stream('and corr'));
    await it.log.flush();
    expect((await it.records()).map(({ text }) => text).join('|')).toBe(
      '***, |correct-hor|Pushing ***|and |corr',
    );
  });

  it('keeps all of a long piece of output, in several records', async () => {
    await using it = await subject();
    const text = Array.from({ length: 20_000 }, (_, line) => `line ${line}\n`).join('');
    await it.log.message('building', stream(text));
    await it.log.flush();
    const records = await it.records();
    expect(records.length).toBeGreaterThan(1);
    expect(records.map((record) => record.text).join('')).toBe(text);
  });

  it('drops output that it has no room for, says so once, and goes on with phases and steps', async () => {
    await using it = await subject(1000);
    const message = (text: string) => ({ phase: 'building', json_data: stream(text), time: 0 });
    const line = `${'x'.repeat(399)}\n`;
    const messages = [line, line, line, line].map(message);
    expect(await it.log.batch({ sequence: 1, messages })).toBe(true);
    const entering = { phase: 'pushing', json_data: phase, time: 0 };
    expect(await it.log.batch({ sequence: 5, messages: [message('Step 2/2 : RUN true\n')] })).toBe(true);
    expect(await it.log.batch({ sequence: 6, messages: [entering, message('tail\n'.repeat(99))] })).toBe(
      true,
    );
    expect((await it.records()).map(({ stream: kind, text }) => [kind, text.slice(0, 11)])).toEqual([
      ['output', 'xxxxxxxxxxx'],
      ['output', 'xxxxxxxxxxx'],
      ['note', 'The log of '],
      ['phase', 'pushing'],
    ]);
    const build = await it.store.builds.get(it.lease.buildId);
    expect(build).toMatchObject({ phase: 'pushing', progress: { step: 2 } });
  });

  it('counts what it drops as told, and notices when its lease was taken', async () => {
    await using it = await subject(0);
    const hash = Buffer.alloc(32, 7);
    await it.store.leases.handOver(it.lease, { ...longLimits, resumeHash: hash });
    const message = (text: string) => ({ phase: 'building', json_data: stream(text), time: 0 });
    expect(await it.log.batch({ sequence: 1, messages: [message('said so\n')] })).toBe(true);
    expect(await it.log.batch({ sequence: 2, messages: [message('a\n'), message('b\n')] })).toBe(true);
    const { realm } = claimRequest().worker ?? { realm: '' };
    const proof = { buildId: it.lease.buildId, try: 1, hash };
    const resumed = await it.store.leases.resume(proof, { realm, manager: 'manager-2' });
    expect(resumed).toMatchObject({ lastLogSeq: 1, lastMessageSeq: 3 });
    expect(typeof resumed === 'object' && resumed.logBytes).toBeGreaterThan(100);
    expect(await it.log.batch({ sequence: 4, messages: [message('c\n')] })).toBe(false);
  });
});
