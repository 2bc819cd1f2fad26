import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { BlobTooLarge, type BlobStore } from '../../../src/store/index.ts';

export interface BlobStoreUnderTest extends AsyncDisposable {
  readonly blobs: BlobStore;
  /** A second manager's view of the same blobs. */
  readonly others: BlobStore;
  /** How many pieces of unfinished blobs there are. */
  countUnfinished(): Promise<number>;
}

/** What every blob store keeps. */
export function blobStoreSuite(name: string, make: () => Promise<BlobStoreUnderTest>): void {
  describe(name, () => {
    test.each([0, 1, 65_536, 5_000_001])(
      'gives back %i bytes as they were, to every manager',
      async (size) => {
        await using under = await make();
        const content = randomBytes(size);
        const stored = await under.blobs.put(Readable.from([content.subarray(0, 7), content.subarray(7)]), {
          maxBytes: size,
        });
        expect(stored).toEqual({
          id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
          size,
          sha256: createHash('sha256').update(content).digest('hex'),
        });
        const opened = await under.others.open(stored.id);
        expect(opened?.size).toBe(size);
        expect(opened && (await buffer(opened.content)).equals(content)).toBe(true);
      },
    );

    test('refuses what is too large, and keeps nothing of it', async () => {
      await using under = await make();
      const content = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(1000)));
      await expect(under.blobs.put(content, { maxBytes: 50_000 })).rejects.toThrow(BlobTooLarge);
      expect(content.destroyed).toBe(true);
      expect(await under.countUnfinished()).toBe(0);
    });

    test('keeps nothing of a stream that breaks', async () => {
      await using under = await make();
      const content = new Readable({
        read() {
          this.push(Buffer.alloc(1000));
          this.destroy(new Error('the line was cut'));
        },
      });
      await expect(under.blobs.put(content, { maxBytes: 50_000 })).rejects.toThrow('the line was cut');
      expect(await under.countUnfinished()).toBe(0);
    });

    test('knows no blob but its own, whatever the id says', async () => {
      await using under = await make();
      for (const id of ['', '.', '..', '../blobs', '../../etc/passwd', 'a/b', '\0', randomUUID()]) {
        expect(await under.blobs.open(id)).toBeNull();
        await under.blobs.delete(id);
      }
    });

    test('forgets what is deleted, once or twice', async () => {
      await using under = await make();
      const { id } = await under.blobs.put(Readable.from(['text']), { maxBytes: 10 });
      await under.others.delete(id);
      await under.blobs.delete(id);
      expect(await under.blobs.open(id)).toBeNull();
    });

    test('sweeps what an interrupted manager left, and nothing that is under way', async () => {
      await using under = await make();
      const endless = new Readable({ read: () => undefined });
      const interrupted = under.others.put(endless, { maxBytes: 10 });
      interrupted.catch(() => undefined);
      const written = await under.blobs.put(Readable.from(['text']), { maxBytes: 10 });
      await expect.poll(() => under.countUnfinished()).toBe(1);
      expect(await under.blobs.sweep(3600)).toBe(0);
      expect(await under.blobs.sweep(-3600)).toBe(1);
      expect(await under.countUnfinished()).toBe(0);
      expect((await under.blobs.open(written.id))?.size).toBe(4);
      endless.destroy();
      await expect(interrupted).rejects.toThrow();
    });
  });
}
