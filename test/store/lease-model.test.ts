import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startDatabaseServer } from '../../lab/database.ts';
import type { BuildState } from '../../src/contract/phases.ts';
import type { Lease, Store, TryOutcome } from '../../src/store/index.ts';
import { claimRequest, expireAtOnce, longLimits, newBuild, openTestStore, record } from './support/store.ts';

/** What a build must be after anything that anyone did, in any order, with leases of any age. */
interface Model {
  state: BuildState;
  countedTries: number;
  readonly maxTries: number;
  /** Each try's outcome; null for the one that runs. */
  readonly outcomes: (TryOutcome | null)[];
  /** Of the try that runs: who has it, whether its worker may come back, and whether that is away. */
  manager: string;
  isHandedOver: boolean;
  isSuspended: boolean;
  isWorkerAway: boolean;
}

interface Context {
  readonly store: Store;
  readonly buildId: string;
  readonly kind: string;
  readonly leases: Lease[];
  /** As each try was claimed: its capability is by this one, whoever has it later. */
  readonly tokens: string[];
  readonly model: Model;
}

type Step =
  | { readonly does: 'claim'; readonly hosted: boolean }
  | {
      readonly does: 'begin' | 'log' | 'expire' | 'handOver' | 'resume' | 'forsake' | 'overdue';
      readonly lease: number;
    }
  | { readonly does: 'suspend'; readonly lease: number; readonly workerAway: boolean }
  | { readonly does: 'finish'; readonly lease: number; readonly state: 'complete' | 'error' }
  | { readonly does: 'giveBack'; readonly lease: number; readonly counted: boolean }
  | { readonly does: 'cancel' };

const lease = fc.nat({ max: 3 });
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ does: fc.constant('claim' as const), hosted: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('begin', 'log', 'expire'), lease }) },
    {
      weight: 5,
      arbitrary: fc.record({ does: fc.constantFrom('handOver', 'resume', 'forsake', 'overdue'), lease }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constant('suspend' as const), lease, workerAway: fc.boolean() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ does: fc.constant('giveBack' as const), lease, counted: fc.boolean() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        does: fc.constant('finish' as const),
        lease,
        state: fc.constantFrom('complete', 'error'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('cancel' as const) }) },
  ),
  { maxLength: 20 },
);

const error = { code: 'builderror', message: 'm', help: 'h', base_error: 'b' };

const hashOf = (at: number): Buffer => Buffer.from(`hash-${at}`);

/** A try is lost: away from a manager that lives, that uses one up. */
function loseTry(context: Context): void {
  const { model } = context;
  model.countedTries += model.isWorkerAway ? 1 : 0;
  const last = model.isWorkerAway && model.countedTries >= model.maxTries;
  endTry(context, 'lost', last ? 'internalerror' : 'waiting');
}

function endTry({ model }: Context, outcome: TryOutcome, state: BuildState): void {
  model.outcomes[model.outcomes.length - 1] = outcome;
  model.state = state;
}

/** Does one thing, and expects the answer that the model gives. */
async function take(context: Context, step: Step): Promise<void> {
  const { store, model, leases, buildId } = context;
  const at = 'lease' in step ? Math.min(step.lease, leases.length - 1) : -1;
  const used = leases[at];
  const holds = used !== undefined && model.outcomes[at] === null;
  switch (step.does) {
    case 'claim': {
      const worker = step.hosted ? null : { id: 'w', slot: 0, realm: 'r' };
      const claim = await store.leases.claim(claimRequest({ kinds: [context.kind], worker }));
      expect(claim !== null).toBe(model.state === 'waiting');
      if (!claim) return;
      leases.push(claim.lease);
      context.tokens.push(claim.lease.token);
      model.outcomes.push(null);
      model.state = step.hosted ? 'starting' : 'running';
      Object.assign(model, {
        manager: 'manager-1',
        isHandedOver: false,
        isSuspended: false,
        isWorkerAway: false,
      });
      const hash = Buffer.from(claim.lease.token);
      await store.capabilities.grant(claim.lease, { hash, scopes: ['push'], expiresInSeconds: 60 });
      return;
    }
    case 'begin': {
      if (!used) return;
      const worker = { manager: 'manager-1', id: 'w', slot: 0, realm: 'r', leaseSeconds: 300 };
      expect(await store.leases.beginRunning(used, worker)).toBe(holds);
      if (holds) Object.assign(model, { state: 'running', manager: 'manager-1', isSuspended: false });
      return;
    }
    case 'log':
      if (used) expect((await store.logs.append(used, [record(1)])) !== null).toBe(holds);
      return;
    case 'expire': {
      if (!used) return;
      await store.leases.renew({ manager: model.manager, tokens: [used.token], leaseSeconds: -1 });
      const expired = await store.leases.expireLeases(expireAtOnce);
      const lapsed = holds || (model.outcomes.at(-1) === null && model.isSuspended);
      expect(expired.length).toBe(lapsed ? 1 : 0);
      if (lapsed) loseTry(context);
      return;
    }
    case 'handOver': {
      if (!used) return;
      const resumeHash = hashOf(at);
      expect((await store.leases.handOver(used, { ...longLimits, resumeHash })) !== null).toBe(holds);
      if (holds) model.isHandedOver = true;
      return;
    }
    case 'suspend': {
      if (!used) return;
      const { workerAway } = step;
      const isSuspended = holds && model.isHandedOver;
      expect(await store.leases.suspend(used, { workerAway })).toBe(isSuspended);
      if (isSuspended) Object.assign(model, { isSuspended, isWorkerAway: workerAway });
      return;
    }
    case 'resume': {
      if (!used) return;
      const manager = model.manager === 'manager-1' ? 'manager-2' : 'manager-1';
      const realm = (await store.builds.get(buildId))?.tries[at]?.realm ?? null;
      const proof = { buildId, try: used.try, hash: hashOf(at) };
      const resumed = await store.leases.resume(proof, { realm: realm ?? 'r', manager });
      expect(typeof resumed === 'object').toBe(holds && model.isHandedOver && realm !== null);
      if (typeof resumed === 'string') return;
      // Whoever had it before can do nothing more.
      expect(await store.leases.enterPhase(used, 'building')).toBe(false);
      leases[at] = resumed.lease;
      const renewal = { manager, tokens: [resumed.lease.token], leaseSeconds: 300 };
      expect((await store.leases.renew(renewal)).renewed).toHaveLength(1);
      Object.assign(model, { manager, isSuspended: false, isWorkerAway: false });
      return;
    }
    case 'forsake': {
      if (!used) return;
      const proof = { buildId, try: used.try, hash: hashOf(at) };
      const isForsaken = holds && model.isHandedOver;
      expect(await store.leases.forsake(proof, error)).toBe(isForsaken);
      if (isForsaken) loseTry(context);
      return;
    }
    case 'overdue': {
      if (!used) return;
      const limits = { ...longLimits, timeoutSeconds: 0, resumeHash: hashOf(at) };
      if ((await store.leases.handOver(used, limits)) === null) return;
      model.isHandedOver = true;
      const overdue = await store.leases.overdue(0);
      expect(overdue.map((each) => each.lease)).toEqual([used]);
      await store.leases.handOver(used, { ...limits, timeoutSeconds: 3600 });
      expect(await store.leases.overdue(0)).toEqual([]);
      return;
    }
    case 'finish': {
      if (!used) return;
      const result =
        step.state === 'complete'
          ? ({ state: 'complete', outputs: {} } as const)
          : ({ state: 'error', error } as const);
      // Telling a result twice is no error.
      const repeated = model.outcomes[at] === step.state;
      expect(await store.leases.finish(used, result)).toBe(holds || repeated);
      if (holds) endTry(context, step.state, step.state);
      return;
    }
    case 'giveBack': {
      if (!used) return;
      const { counted } = step;
      const how = { outcome: 'internalerror', error, counted, delaySeconds: 0 } as const;
      const became = await store.leases.giveBack(used, how);
      if (!holds) return;
      if (counted) model.countedTries += 1;
      const last = counted && model.countedTries >= model.maxTries;
      endTry(context, 'internalerror', last ? 'internalerror' : 'waiting');
      expect(became).toBe(model.state);
      return;
    }
    case 'cancel': {
      const final = !['waiting', 'starting', 'running'].includes(model.state);
      expect((await store.builds.cancel(buildId, 'bob'))?.cancelled).toBe(!final);
      if (final) return;
      if (model.outcomes.at(-1) === null) endTry(context, 'cancelled', 'cancelled');
      model.state = 'cancelled';
    }
  }
}

async function expectModel({ store, model, buildId, leases, tokens }: Context): Promise<void> {
  const build = await store.builds.get(buildId);
  expect(build?.state).toBe(model.state);
  expect(build?.tries.map(({ outcome }) => outcome)).toEqual(model.outcomes);
  for (const [index, { token }] of leases.entries()) {
    const capability = await store.capabilities.find(Buffer.from(tokens[index] ?? token));
    expect(capability !== null).toBe(model.outcomes[index] === null);
  }
}

test('whatever is done to a build, in whatever order: one try at a time, one end, and no stale lease counts', async () => {
  await using server = await startDatabaseServer();
  await using store = await openTestStore(server);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (maxTries, taken) => {
      const kind = randomUUID();
      const { id: buildId } = await store.builds.submit(newBuild({ kind, maxTries }));
      const model: Model = {
        state: 'waiting',
        countedTries: 0,
        maxTries,
        outcomes: [],
        manager: 'manager-1',
        isHandedOver: false,
        isSuspended: false,
        isWorkerAway: false,
      };
      const context = { store, buildId, kind, leases: [], tokens: [], model };
      for (const step of taken) {
        await take(context, step);
        await expectModel(context);
      }
      // The next run's leases are to expire alone.
      await store.builds.cancel(buildId, 'bob');
    }),
    { numRuns: 60 },
  );
});
