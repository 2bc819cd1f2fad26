import { openStore } from '../../../src/store/index.ts';
import { log, newBuild, noBlobs } from './store.ts';

/**
 * A manager in a process of its own, with an embedded server in the folder that is its argument. Submits builds for ever, and tells its
 * parent the id of each when it was accepted; `stop` ends it.
 */
const [dataDirectory = ''] = process.argv.slice(2);
const store = await openStore({ dataDirectory, blobs: noBlobs, log });
const stop = new AbortController();
process.once('message', () => stop.abort());
while (!stop.signal.aborted) {
  // The server may be killed under this.
  const accepted = await store.builds.submit(newBuild()).catch(() => null);
  if (accepted) process.send?.(accepted.id);
}
await store.close();
process.disconnect();
