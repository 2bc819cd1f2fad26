import { expect, test } from 'vitest';
import { createAddressGuard, readSubnets } from '../../../src/contract/network/addresses.ts';

const signal = new AbortController().signal;
const never = [
  '169.254.169.254',
  '169.254.0.1',
  '100.100.100.200',
  '168.63.129.16',
  'fe80::1',
  'fd00:ec2::254',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '224.0.0.1',
];
const private_ = [
  '127.0.0.1',
  '0.0.0.0',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '::1',
  '::',
  'fc00::1',
  'fd12:3456::1',
  '::ffff:127.0.0.1',
  '64:ff9b::10.0.0.1',
];
const open = ['93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:2800:220:1::1', '64:ff9b::5db8:d822'];

async function verdict(address: string, allowed: 'all' | string[]): Promise<string> {
  const resolving = createAddressGuard(allowed).resolve(address, signal);
  return resolving.then(
    () => 'allowed',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
}

test('metadata services and link-local addresses are refused, whatever is configured and however they are written', async () => {
  for (const address of never) {
    for (const allowed of ['all' as const, [], ['0.0.0.0/0', '::/0']]) {
      expect([address, await verdict(address, allowed)]).toEqual([
        address,
        expect.stringContaining('no build'),
      ]);
    }
  }
});

test('private addresses are refused where they are not allowed', async () => {
  for (const address of private_) {
    expect([address, await verdict(address, 'all')]).toEqual([address, 'allowed']);
    expect([address, await verdict(address, [])]).toEqual([address, expect.stringContaining('private')]);
  }
  for (const address of open) expect([address, await verdict(address, [])]).toEqual([address, 'allowed']);
});

test('single private addresses and ranges may be allowed', async () => {
  const allowed = readSubnets('10.1.0.0/16, fd12::/16,127.0.0.1') ?? [];
  expect(await verdict('10.1.2.3', allowed)).toBe('allowed');
  expect(await verdict('fd12::1', allowed)).toBe('allowed');
  expect(await verdict('127.0.0.1', allowed)).toBe('allowed');
  expect(await verdict('10.2.2.3', allowed)).toContain('private');
  for (const wrong of ['', 'x', '10.0.0.0/33', '10.0.0/8', '10.0.0.1,host', '::/129']) {
    expect(readSubnets(wrong)).toBeUndefined();
  }
});

test('a name of which one address is refused is refused whole', async () => {
  const found = [
    { address: '93.184.216.34', family: 4 },
    { address: '169.254.169.254', family: 4 },
  ];
  const guard = createAddressGuard('all', () => Promise.resolve(found));
  await expect(guard.resolve('host.example', signal)).rejects.toThrow(/host\.example \(169\.254\.169\.254\)/);
});

test('an abort does not wait for a resolver', async () => {
  const abort = new AbortController();
  const guard = createAddressGuard('all', () => new Promise(() => undefined));
  const resolving = guard.resolve('host.example', abort.signal);
  abort.abort(new Error('cancelled'));
  await expect(resolving).rejects.toThrow('cancelled');
});
