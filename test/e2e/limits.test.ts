import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Build, BuildRequestBody } from '../../src/contract/api.ts';
import { commandLines, ended, logOf, quayBuild, startE2e, submit, type E2e } from './support.ts';

/** What bounds a build, and what its steps may reach. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
});
afterAll(() => e2e[Symbol.asyncDispose]());

async function build(
  options: Partial<BuildRequestBody>,
  step: string,
): Promise<{ build: Build; log: string }> {
  const dockerfile = new TextEncoder().encode(`FROM busybox:stable\n${step}\n`);
  const { id } = await submit(e2e.farm, { repository: 'team/app', ...options }, dockerfile);
  const done = await ended(e2e.farm, id);
  return { build: done, log: await logOf(e2e.farm, id) };
}

describe.each(['buildkit', 'classic'])('with the %s builder', (builder) => {
  let worker: { stop(): Promise<void> };
  beforeAll(async () => {
    worker = await e2e.farm.startWorker(e2e.engine, { BUILDER: builder });
  });
  afterAll(() => worker.stop());

  it.each([
    [
      { timeout: 3 },
      (time: string) => `RUN while sleep 0.2; do echo ${time}; done`,
      'The build took longer than 3 s, which is its limit (timeout), and was stopped.',
    ],
    [
      { silence_timeout: 10 },
      (time: string) => `RUN for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done; echo over; sleep ${time}`,
      'The build printed nothing for 10 s, which is its limit (silence_timeout), and was stopped.',
    ],
  ])('%o stops a build that passes it, with all that it runs', async (options, step, words) => {
    const time = String(randomInt(100_000_000, 999_999_999));
    const { build: stopped, log } = await build(options, step(time));
    expect(stopped).toMatchObject({ state: 'error', error: { code: 'builderror', base_error: words } });
    if ('silence_timeout' in options) expect(log).toContain('6\nover\n');
    // The engine goes on tidying up for a moment.
    await vi.waitFor(
      async () => {
        expect(await commandLines()).not.toContain(time);
        expect(await e2e.engine.docker(['ps', '--all', '--quiet'])).toBe('');
      },
      { timeout: 60_000 },
    );
  });

  it('limits of memory and CPUs are kept, or the log says that they are not', async () => {
    const { build: done, log } = await build(
      { limits: { memory: 64 * 1024 * 1024, cpus: 0.5 } },
      'RUN cd /sys/fs/cgroup; cat memory.max cpu.max memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us 2>/dev/null; true',
    );
    expect(done.state).toBe('complete');
    const notKept = log.includes("which the engine's BuildKit does not keep: its steps run without them.");
    expect(notKept).toBe(builder === 'buildkit');
    if (builder === 'classic') expect(log).toMatch(/^67108864$[^]*^50000\b/m);
  });

  it('the network none has nothing but itself, and host is refused', async () => {
    const interfaces = 'RUN ls /sys/class/net | tr "\\n" " "; echo are there';
    const { log } = await build({ network: 'none' }, interfaces);
    expect(log).toContain('\nlo are there\n');
    const { build: refused } = await build({ network: 'host' }, interfaces);
    expect(refused.error).toMatchObject({
      code: 'builderror',
      base_error: expect.stringMatching(
        /^This build asks for the network host.*ENTITLEMENTS=network\.host/,
      ) as string,
    });
  });

  it.each([
    ['RUN --network=host true', 'network.host'],
    ['ONBUILD RUN --network=host true', 'network.host'],
    ['RUN --security=insecure true', 'security.insecure'],
    ['RUN --device=vendor.example/gpu true', 'device'],
  ])('%s is refused, whether the engine knows it or not', async (step, entitlement) => {
    const { build: refused } = await build({}, step);
    expect(refused.error).toMatchObject({
      code: 'dockerfileissue',
      base_error: expect.stringContaining(`Line 2 of the Dockerfile asks for ${entitlement}, and`) as string,
    });
  });
});

it('the network host is for builds of a worker whose operator allows it, from the command line', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine, { ENTITLEMENTS: 'network.host' });
  const dockerfile = join(directory, 'Dockerfile');
  await writeFile(
    dockerfile,
    `FROM busybox:stable\nRUN ip addr | grep -c '${engine.bridgeAddress}/'; echo seen\n`,
  );
  const { code, stdout } = await quayBuild(farm, [
    ...['submit', dockerfile, '--repository', 'team/app', '--network', 'host'],
    ...['--memory', '512m', '--cpus', '1.5', '--timeout', '30m', '--silence-timeout', '600'],
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain('1\nseen\n');
  await worker.stop();
});
