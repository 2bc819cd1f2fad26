import { describe, expect, it } from 'vitest';
import { ConfigurationError, loadConfiguration } from '../../src/contract/configuration.ts';
import { managerConfiguration } from '../../src/manager/config.ts';
import type { ManagerSettings } from '../../src/manager/settings.ts';

function load(environment: NodeJS.ProcessEnv): ManagerSettings {
  return loadConfiguration(managerConfiguration, { environment });
}

function problemsOf(environment: NodeJS.ProcessEnv): readonly string[] {
  try {
    load(environment);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe("the manager's settings", () => {
  it('need none: everything is on the loopback', () => {
    expect(load({})).toMatchObject({
      LISTEN_WAMP: { host: '127.0.0.1', port: 8787 },
      LISTEN_HTTP: { host: '127.0.0.1', port: 8686 },
      REGISTRATION: 'open',
      REGISTRY: null,
    });
  });

  it.each([
    ['LISTEN_WAMP', '8787'],
    ['LISTEN_HTTP', 'localhost:70000'],
    ['PUBLIC_URL', 'ftp://example'],
    ['PUBLIC_URL', 'https://user:password@example'],
    ['DATABASE_URL', 'mysql://example/builds'],
    ['REGISTRATION', 'ajar'],
    ['REGISTRY', 'https://registry.example'],
    ['LEASE_SECONDS', '1'],
    ['PACKAGE_MAX_BYTES', 'much'],
    ['MANAGER_ID', 'two words'],
  ])('refuse %s=%s, with its rule and an example', (name, value) => {
    const [problem, ...others] = problemsOf({ [name]: value });
    expect(others).toEqual([]);
    expect(problem).toMatch(new RegExp(`^${name}: must be .*, for example .+`));
    expect(problem).not.toContain('password@');
  });

  it.each([
    ['the API without tokens', { LISTEN_HTTP: '192.0.2.1:8686' }, 'OPEN_HTTP_TO_EVERYBODY'],
    ['registration', { LISTEN_WAMP: '[::]:8787' }, 'OPEN_REGISTRATION_TO_EVERYBODY'],
  ])('do not open %s beyond the loopback, unless told so in so many words', (_what, environment, word) => {
    expect(problemsOf(environment)).toEqual([expect.stringContaining(word)]);
    expect(problemsOf({ ...environment, [word]: 'yes' })).toEqual([]);
  });

  it('let the API be reached from elsewhere with tokens, and registration by tickets, or when it is off', () => {
    expect(problemsOf({ LISTEN_HTTP: '192.0.2.1:8686', API_TOKENS_FILE: '/tokens.json' })).toEqual([]);
    expect(problemsOf({ LISTEN_WAMP: '0.0.0.0:8787', REGISTRATION: 'off' })).toEqual([]);
    const byTicket = { REGISTRATION: 'ticket', REGISTRATION_TICKETS_FILE: '/tickets.json' };
    expect(problemsOf({ LISTEN_WAMP: '0.0.0.0:8787', ...byTicket })).toEqual([]);
    const tls = { WAMP_TLS_CERT_PATH: '/wamp.pem', WAMP_TLS_KEY_PATH: '/wamp.key' };
    const certified = { ...tls, WAMP_TLS_CLIENT_CA_PATH: '/workers.pem' };
    expect(problemsOf({ LISTEN_WAMP: '0.0.0.0:8787', ...certified })).toEqual([]);
    expect(problemsOf({ LISTEN_WAMP: '0.0.0.0:8787', ...tls })).toHaveLength(1);
    expect(problemsOf({ WAMP_TLS_CERT_PATH: '/wamp.pem' })).toHaveLength(1);
    expect(problemsOf({ WAMP_TLS_CLIENT_CA_PATH: '/workers.pem' })).toHaveLength(1);
    expect(problemsOf({ REGISTRATION: 'ticket' })).toEqual([
      expect.stringMatching(/^REGISTRATION_TICKETS_FILE: /),
    ]);
  });

  it('want to know how workers reach a listener of every address', () => {
    const environment = { LISTEN_HTTP: '0.0.0.0:8686', API_TOKENS_FILE: '/tokens.json' };
    expect(problemsOf(environment)).toEqual([expect.stringMatching(/^PUBLIC_URL: /)]);
    expect(problemsOf({ ...environment, PUBLIC_URL: 'http://builds.example:8686' })).toEqual([]);
  });

  it('want the credentials of a registry whole, of one kind, and of a registry that is named', () => {
    const registry = { REGISTRY: 'registry.example' };
    expect(problemsOf({ REGISTRY_URL: 'http://registry:5000' })).toEqual([
      expect.stringMatching(/^REGISTRY_URL: .*REGISTRY/),
    ]);
    expect(problemsOf({ ...registry, REGISTRY_URL: 'http://registry:5000' })).toEqual([]);
    expect(problemsOf({ ...registry, REGISTRY_USERNAME: 'robot' })).toHaveLength(1);
    expect(problemsOf({ REGISTRY_TOKEN_SERVICE: 'registry' })).toHaveLength(1);
    const both = {
      REGISTRY_USERNAME: 'robot',
      REGISTRY_PASSWORD: 'secret',
      REGISTRY_TOKEN_SERVICE: 'registry',
    };
    expect(problemsOf({ ...registry, ...both })).toEqual([expect.not.stringContaining('secret')]);
  });
});
