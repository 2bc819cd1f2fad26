import { randomInt } from 'node:crypto';
import { openStore } from '../../../src/store/index.ts';
import { claimRequest, expireAtOnce, log, noBlobs } from './store.ts';

/**
 * A manager in a process of its own: claims until told to stop, and often stalls until another has taken its build over. Tells its
 * parent which builds it finished, and how often it came too late.
 *
 * Arguments: the database's URL, and a name.
 */
const [databaseUrl = '', manager = ''] = process.argv.slice(2);
const store = await openStore({ databaseUrl, dataDirectory: '', blobs: noBlobs, log });
const finished: string[] = [];
let late = 0;
const stop = new AbortController();
process.once('message', () => stop.abort());
const isStopped = (): boolean => stop.signal.aborted;
// A test that dies leaves no claimant behind.
process.once('disconnect', () => {
  if (!isStopped()) process.exit();
});

const expireLeases = (): Promise<unknown> => store.leases.expireLeases(expireAtOnce);

async function slot(number: number): Promise<void> {
  while (!isStopped()) {
    const worker = { id: manager, slot: number, realm: `${manager}-${number}` };
    const claim = await store.leases.claim(claimRequest({ manager, worker, leaseSeconds: 0.15 }));
    if (!claim) {
      await expireLeases();
      continue;
    }
    // One in five lets its lease run out; the others have some trouble, or none.
    if (randomInt(5) === 0) {
      while ((await store.leases.enterPhase(claim.lease, 'building')) && !isStopped()) await expireLeases();
    } else if (randomInt(10) === 0) {
      await store.leases.giveBack(claim.lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
      continue;
    }
    const done = await store.leases.finish(claim.lease, { state: 'complete', outputs: { manager } });
    if (done) finished.push(claim.build.id);
    else late += 1;
  }
}

await Promise.all([0, 1, 2, 3].map(slot));
await store.close();
process.send?.({ finished, late });
process.disconnect();
