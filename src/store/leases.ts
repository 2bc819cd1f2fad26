import type { BuildState } from '../contract/phases.ts';
import type { Database } from './database.ts';
import { fence, type Fence } from './fence.ts';
import type { HealthMonitor } from './health.ts';
import type { BuildRow, TryOutcome } from './ports/builds.ts';
import type { SealedCredential } from './ports/credentials.ts';
import type { Claim, LeaseStore, ResumeProof } from './ports/leases.ts';
import { LOSSES_MAX, OVERDUE_AT_ONCE } from './limits.ts';
import { statement } from './statements.ts';
import { keepableText, toJsonb } from './values.ts';

/** A row of a statement that answers with a claim. */
export interface ClaimedBuild extends BuildRow {
  readonly number: number;
  readonly leaseToken: string;
  readonly material: Uint8Array | null;
  /** As JSON carries them: the passwords in base64. */
  readonly credentials: readonly (Omit<SealedCredential, 'password'> & { readonly password: string })[];
}

interface ResumedBuild extends ClaimedBuild {
  readonly tryPhase: string | null;
  readonly lastLogSeq: number;
  readonly lastMessageSeq: number;
  readonly logBytes: number;
}

const claimBuild = statement<
  [
    kinds: readonly string[],
    extensions: readonly string[],
    labels: string | null,
    namespaces: readonly string[] | null,
    slots: string | null,
    manager: string,
    leaseSeconds: number,
    defaultMaxRunning: number | null,
  ],
  ClaimedBuild & { realm: string | null }
>('claim-build', { repeatable: false });
const anyClaimable = statement<[], { any: boolean }>('any-claimable');
const beginRunning =
  statement<[...Fence, manager: string, worker: string, slot: number, realm: string, leaseSeconds: number]>(
    'begin-running',
  );
const renewLeases = statement<
  [manager: string, tokens: readonly string[], leaseSeconds: number],
  { leaseToken: string; fate: 'renewed' | 'cancelled' }
>('renew-leases');
const leaseFates = statement<
  [manager: string, tokens: readonly string[]],
  { leaseToken: string; fate: 'held' | 'cancelled' }
>('lease-fates');
const enterPhase = statement<[...Fence, phase: string, baseImage: string | null]>('enter-phase');
const beginStep =
  statement<
    [
      ...Fence,
      ordinal: number,
      name: string,
      progress: string | null,
      ordinalsBefore: readonly number[],
      namesBefore: readonly string[],
    ]
  >('begin-step');
const finishTry =
  statement<[...Fence, outcome: string, error: string | null, outputs: string | null]>('finish-try');
const giveBack = statement<
  [
    ...Fence,
    outcome: string,
    error: string | null,
    counted: boolean,
    delaySeconds: number,
    lossesMax: number,
  ],
  { state: 'waiting' | 'internalerror' }
>('give-back');
const howTryEnded = statement<Fence, { outcome: TryOutcome | null; state: BuildState }>('how-try-ended');
const handOverTry = statement<
  [
    ...Fence,
    resumeHash: Uint8Array | null,
    timeoutSeconds: number,
    silenceSeconds: number,
    marginSeconds: number,
    lifeReserveSeconds: number,
  ],
  { timeoutSeconds: number }
>('hand-over-try');
const suspendTry = statement<[...Fence, workerAway: boolean]>('suspend-try');
type Proof = [buildId: string, number: number, hash: Uint8Array];
const resumeTry = statement<[...Proof, realm: string, manager: string], ResumedBuild>('resume-try');
const findResumable = statement<Proof, { outcome: TryOutcome | null }>('find-resumable');
const forsakeTry = statement<[...Proof, error: string | null, lossesMax: number]>('forsake-try');
const expireLeases = statement<
  [
    graceSeconds: number,
    resumeSeconds: number,
    workerAway: string | null,
    managerGone: string | null,
    lossesMax: number,
  ],
  { buildId: string; try: number; state: 'waiting' | 'internalerror' }
>('expire-leases');
const listOverdueTries = statement<
  [graceSeconds: number, limit: number],
  {
    buildId: string;
    try: number;
    leaseToken: string;
    phase: string | null;
    triesCounted: number;
    timeoutSeconds: number;
    silenceSeconds: number;
    workerKeepsLimits: boolean;
    isLate: boolean;
  }
>('list-overdue-tries');

/** The port's implementation. Each operation is one statement; the clock of leases is the database's. */
export function createLeaseStore(database: Database, health: HealthMonitor, now: () => Date): LeaseStore {
  const { run } = database;
  /** Whether nothing expires: until so long after the database was away, nobody could renew, or be heard. */
  const isTooSoon = (graceSeconds: number): boolean => {
    const { upSince } = health;
    return !upSince || now().getTime() - upSince.getTime() < graceSeconds * 1000;
  };
  return {
    async claim({
      manager,
      worker,
      others = [],
      kinds,
      extensions,
      labels = {},
      namespaces = null,
      leaseSeconds,
      defaultMaxRunning = null,
    }) {
      const [row] = await run(claimBuild, [
        kinds,
        extensions,
        toJsonb(labels),
        namespaces,
        worker || others.length > 0 ? toJsonb([worker, ...others]) : null,
        manager,
        leaseSeconds,
        defaultMaxRunning,
      ]);
      if (!row) return null;
      const { realm, ...claimed } = row;
      return { ...claimOf(claimed), realm };
    },

    async anyClaimable() {
      const [row] = await run(anyClaimable, []);
      return row?.any === true;
    },

    async beginRunning(lease, { manager, id, slot, realm, leaseSeconds }) {
      const rows = await run(beginRunning, [...fence(lease), manager, id, slot, realm, leaseSeconds]);
      return rows.length > 0;
    },

    async renew({ manager, tokens, leaseSeconds }) {
      if (tokens.length === 0) return { renewed: [], cancelled: [], lost: [] };
      const rows = await run(renewLeases, [manager, tokens, leaseSeconds]);
      const fates = new Map(rows.map(({ leaseToken, fate }) => [leaseToken, fate]));
      return {
        renewed: tokens.filter((token) => fates.get(token) === 'renewed'),
        cancelled: tokens.filter((token) => fates.get(token) === 'cancelled'),
        lost: tokens.filter((token) => !fates.has(token)),
      };
    },

    async fates({ manager, tokens }) {
      const rows = await run(leaseFates, [manager, tokens]);
      const fates = new Map(rows.map(({ leaseToken, fate }) => [leaseToken, fate]));
      return {
        cancelled: tokens.filter((token) => fates.get(token) === 'cancelled'),
        lost: tokens.filter((token) => !fates.has(token)),
      };
    },

    async handOver(lease, { resumeHash, timeoutSeconds, silenceSeconds, marginSeconds, lifeReserveSeconds }) {
      const limits = [timeoutSeconds, silenceSeconds, marginSeconds, lifeReserveSeconds] as const;
      const [row] = await run(handOverTry, [...fence(lease), resumeHash, ...limits]);
      return row?.timeoutSeconds ?? null;
    },

    async suspend(lease, { workerAway }) {
      return (await run(suspendTry, [...fence(lease), workerAway])).length > 0;
    },

    async resume(proof, { realm, manager }) {
      const [row] = await run(resumeTry, [...proven(proof), realm, manager]);
      if (!row) {
        const [found] = await run(findResumable, proven(proof));
        return found?.outcome ?? 'unknown';
      }
      const { tryPhase, lastLogSeq, lastMessageSeq, logBytes, ...claimed } = row;
      return { ...claimOf(claimed), lastLogSeq, lastMessageSeq, logBytes, phase: tryPhase };
    },

    async forsake(proof, error) {
      return (await run(forsakeTry, [...proven(proof), toJsonb(error), LOSSES_MAX])).length > 0;
    },

    async enterPhase(lease, phase, baseImage) {
      const base = baseImage === undefined ? null : keepableText(baseImage);
      return (await run(enterPhase, [...fence(lease), phase, base])).length > 0;
    },

    async beginStep(lease, { ordinal, name, total }, before = []) {
      const progress = toJsonb({ step: ordinal, steps: total, instruction: name });
      // One that was told twice is as it was told last.
      const names = new Map(before.map((step) => [step.ordinal, keepableText(step.name)]));
      names.delete(ordinal);
      const rows = await run(beginStep, [
        ...fence(lease),
        ordinal,
        keepableText(name),
        progress,
        [...names.keys()],
        [...names.values()],
      ]);
      return rows.length > 0;
    },

    async finish(lease, result) {
      const error = result.state === 'complete' ? null : toJsonb(result.error);
      const outputs = result.state === 'complete' ? toJsonb(result.outputs) : null;
      const rows = await run(finishTry, [...fence(lease), result.state, error, outputs]);
      if (rows.length > 0) return true;
      // Asked a second time, because the first answer was lost?
      const [ended] = await run(howTryEnded, fence(lease));
      return ended?.outcome === result.state;
    },

    async giveBack(lease, { outcome, error, counted, delaySeconds }) {
      const [row] = await run(giveBack, [
        ...fence(lease),
        outcome,
        toJsonb(error),
        counted,
        delaySeconds,
        LOSSES_MAX,
      ]);
      if (row) return row.state;
      const [ended] = await run(howTryEnded, fence(lease));
      if (ended?.outcome !== outcome) return null;
      return ended.state === 'waiting' || ended.state === 'internalerror' ? ended.state : null;
    },

    async expireLeases({ graceSeconds, resumeSeconds, workerAway, managerGone }) {
      if (isTooSoon(graceSeconds)) return [];
      const errors = [toJsonb(workerAway), toJsonb(managerGone)] as const;
      return run(expireLeases, [graceSeconds, resumeSeconds, ...errors, LOSSES_MAX]);
    },

    async overdue(graceSeconds) {
      if (isTooSoon(graceSeconds)) return [];
      const rows = await run(listOverdueTries, [graceSeconds, OVERDUE_AT_ONCE]);
      return rows.map(({ buildId, try: number, leaseToken, ...row }) => ({
        ...row,
        lease: { buildId, try: number, token: leaseToken },
      }));
    },
  };
}

/** The claim that such a row is. */
export function claimOf({ number, leaseToken, material, credentials, ...build }: ClaimedBuild): Claim {
  return {
    build,
    secrets: material,
    credentials: credentials.map((each) => ({ ...each, password: Buffer.from(each.password, 'base64') })),
    lease: { buildId: build.id, try: number, token: leaseToken },
  };
}

function proven({ buildId, try: number, hash }: ResumeProof): Proof {
  return [buildId, number, hash];
}
