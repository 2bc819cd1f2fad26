import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSecretBox, SealError } from '../../../src/manager/secrets/secret-box.ts';

const key = randomBytes(32);
const box = createSecretBox([key]);

describe('a secret box', () => {
  it('opens what it sealed, for the same context only', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), fc.string(), (plain, context, other) => {
        const sealed = box.seal(context, plain);
        expect(box.open(context, sealed)).toBe(plain);
        if (other !== context) expect(() => box.open(other, sealed)).toThrow(SealError);
      }),
    );
  });

  it('seals the same text differently each time, and shows nothing of it', () => {
    const first = Buffer.from(box.seal('a', 'a very well known password'));
    const second = Buffer.from(box.seal('a', 'a very well known password'));
    expect(first.equals(second)).toBe(false);
    expect(first.includes('password')).toBe(false);
  });

  it('notices every changed byte', () => {
    const sealed = box.seal('a', 'secret');
    for (let index = 0; index < sealed.length; index++) {
      const damaged = Uint8Array.from(sealed);
      damaged[index] = (damaged[index] ?? 0) ^ 1;
      expect(() => box.open('a', damaged)).toThrow(SealError);
    }
    expect(() => box.open('a', sealed.subarray(0, 20))).toThrow(SealError);
    expect(() => box.open('a', new Uint8Array())).toThrow(SealError);
  });

  it('goes on opening with a key that was replaced, and seals with the new one', () => {
    const sealed = box.seal('a', 'secret');
    const rotated = createSecretBox([randomBytes(32), key]);
    expect(rotated.open('a', sealed)).toBe('secret');
    expect(() => box.open('a', rotated.seal('a', 'new'))).toThrow(/which the key file does not hold/);
  });
});
