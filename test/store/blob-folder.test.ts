import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBlobFolder } from '../../src/store/index.ts';
import { blobStoreSuite } from './support/blob-store-suite.ts';

blobStoreSuite('the folder of blobs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'qlab-blobs-'));
  return {
    blobs: await openBlobFolder(folder),
    others: await openBlobFolder(folder),
    countUnfinished: async () => (await readdir(join(folder, 'incoming'))).length,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
});
