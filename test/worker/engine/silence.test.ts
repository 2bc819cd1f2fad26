import { expect, test } from 'vitest';
import type { StatusResponse } from '../../../src/worker/engine/buildkit/protobuf.ts';
import { watchSilence } from '../../../src/worker/engine/buildkit/silence.ts';
import { limits } from '../../../src/worker/engine/limits.ts';

const EMPTY: StatusResponse = { vertexes: [], statuses: [], logs: [] };
const FULL: StatusResponse = {
  ...EMPTY,
  logs: [
    { vertex: 'v', timestamp: null, stream: { low: 1, high: 0, unsigned: false }, msg: new Uint8Array() },
  ],
};
const { signal } = new AbortController();

test('says once that the engine went silent, after many empty reports in a row', async () => {
  const silence = watchSilence();
  const said: unknown[] = [];
  for (let count = 1; count < limits.emptyReports; count += 1)
    said.push(...(await silence.heard(EMPTY, signal)));
  said.push(...(await silence.heard(FULL, signal)));
  for (let count = 1; count < limits.emptyReports; count += 1)
    said.push(...(await silence.heard(EMPTY, signal)));
  expect({ said, silent: silence.isSilent }).toEqual({ said: [], silent: false });
  for (let count = 0; count < 3 * limits.emptyReports; count += 1) {
    said.push(...(await silence.heard(EMPTY, signal)));
  }
  expect(silence.isSilent).toBe(true);
  expect(said).toEqual([{ status: expect.stringContaining('fault of Docker 20.10') as string }]);
});

test('gives up a silent build that does not end', async () => {
  let now = 0;
  const silence = watchSilence(() => now);
  for (let count = 0; count < limits.emptyReports; count += 1) await silence.heard(EMPTY, signal);
  now = limits.silentMs + 1;
  const goOn = async (): Promise<void> => {
    for (let count = 0; count < limits.emptyReports; count += 1) await silence.heard(EMPTY, signal);
  };
  await expect(goOn()).rejects.toThrow('did not end within 15 minutes');
});
