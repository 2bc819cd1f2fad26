import { expect, test } from 'vitest';
import { loadConfiguration } from '../../src/contract/configuration.ts';
import { withProxyNames } from '../../src/contract/network/proxies.ts';
import { withEngineAddress, workerConfiguration, type WorkerSettings } from '../../src/worker/config.ts';
import { proxiesOf } from '../../src/contract/network/settings.ts';

function load(environment: Record<string, string>): WorkerSettings {
  const given = withProxyNames({ SERVER: 'wss://builds.example.com', ...environment });
  return withEngineAddress(loadConfiguration(workerConfiguration, { environment: given }));
}

test('proxies are named in capital or small letters', () => {
  const small = proxiesOf(load({ http_proxy: 'proxy.example:3128', no_proxy: 'a, .b' }));
  expect(small.http?.href).toBe('http://proxy.example:3128/');
  expect([small.https, small.none]).toEqual([null, ['a', '.b']]);
  const capital = proxiesOf(load({ HTTPS_PROXY: 'http://user:word@proxy.example' }));
  expect(capital.https?.password).toBe('word');
});

test('a proxy that is none is refused without being shown', () => {
  expect(() => load({ https_proxy: 'socks5://user:word@proxy.example' })).toThrow(/^HTTPS_PROXY: .*must be/m);
  expect(() => load({ https_proxy: 'socks5://user:word@proxy.example' })).not.toThrow(/word@/);
});

test('private addresses are allowed, refused, or named', () => {
  expect(load({}).PRIVATE_ADDRESSES).toBe('all');
  expect(load({ PRIVATE_ADDRESSES: 'refuse' }).PRIVATE_ADDRESSES).toEqual([]);
  expect(load({ PRIVATE_ADDRESSES: '10.0.0.0/8, ::1' }).PRIVATE_ADDRESSES).toEqual(['10.0.0.0/8', '::1']);
  expect(() => load({ PRIVATE_ADDRESSES: 'some' })).toThrow(/^PRIVATE_ADDRESSES: /m);
});

test("the engine is where it is said to be, else where Docker's or Podman's listens", () => {
  expect(load({}).DOCKER_HOST).toBe('unix:///var/run/docker.sock');
  expect(load({ CONTAINER_RUNTIME: 'podman' }).DOCKER_HOST).toBe('unix:///run/podman/podman.sock');
  const socket = 'unix:///var/run/docker.sock';
  expect(load({ CONTAINER_RUNTIME: 'podman', DOCKER_HOST: socket }).DOCKER_HOST).toBe(socket);
  expect(() => load({ CONTAINER_RUNTIME: 'other' })).toThrow(
    /^CONTAINER_RUNTIME: .*must be docker or podman/m,
  );
});

test('builds may push to places that are named, and to none without', () => {
  expect(load({}).PUSH_TO).toEqual([]);
  expect(load({ PUSH_TO: 'mirror.example, 127.0.0.1:5000/team/' }).PUSH_TO).toEqual([
    'mirror.example',
    '127.0.0.1:5000/team',
  ]);
  for (const none of [
    'team',
    'mirror.example/Team',
    'https://mirror.example',
    'mirror.example,,other.example',
    '*',
  ]) {
    expect(() => load({ PUSH_TO: none })).toThrow(/^PUSH_TO: .*must be/m);
  }
});
