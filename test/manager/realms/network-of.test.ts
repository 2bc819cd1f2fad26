import { expect, it } from 'vitest';
import { networkOf } from '../../../src/manager/realms/network-of.ts';

/** What counts as one place. */

it.each([
  ['10.1.2.3', '10.1.2.3'],
  ['10.1.2.3:4567', '10.1.2.3'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['[::ffff:10.1.2.3]:4567', '10.1.2.3'],
  ['2001:db8:0:7:1:2:3:4', '2001:db8:0:7::/64'],
  ['2001:DB8::1', '2001:db8:0:0::/64'],
  ['[2001:0db8:0000:0007::ffff]:80', '2001:db8:0:7::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['64:ff9b::10.1.2.3', '64:ff9b:0:0::/64'],
  ['unknown:0', 'unknown'],
])('%s is of %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

it('neighbours of one network are one place, and those of the next are another', () => {
  expect(networkOf('2001:db8:0:7::1')).toBe(networkOf('2001:db8:0:7:ffff:ffff:ffff:ffff'));
  expect(networkOf('2001:db8:0:7::1')).not.toBe(networkOf('2001:db8:0:8::1'));
});
