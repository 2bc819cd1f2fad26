import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  chosenSettings,
  configurationReference,
  loadConfiguration,
  readChoice,
  readInteger,
  readText,
  readUrl,
  setting,
} from '../../src/contract/configuration.ts';

const example = {
  program: 'example',
  settings: {
    PORT: setting({
      doc: 'Where it listens.',
      rule: 'a port, 1 to 65535',
      example: '8787',
      default: '80',
      read: readInteger(1, 65_535),
    }),
    BASE: setting({
      doc: 'The base.',
      rule: 'an http or https URL without a user',
      example: 'https://manager.example',
      read: readUrl(['http:', 'https:']),
    }),
    LEVEL: setting({
      doc: 'How much is said.',
      rule: 'info or debug',
      example: 'info',
      default: 'info',
      read: readChoice(['info', 'debug']),
    }),
    TOKEN: setting({
      doc: 'A secret.',
      rule: 'at least 8 characters',
      example: 'f00df00d',
      secret: true,
      file: true,
      read: (text) => (text.length >= 8 ? text : undefined),
    }),
    NAME: setting({ doc: 'A name.', rule: 'a name', example: 'me', read: readText }),
  },
  rules: [
    {
      isBroken: ({ LEVEL, NAME }: { readonly LEVEL: string; readonly NAME: string | null }) =>
        LEVEL === 'debug' && NAME === null,
      problem: 'NAME: must be given when LEVEL is debug',
    },
  ],
};

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'configuration-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

function problems(environment: Record<string, string>, path?: string): readonly string[] {
  try {
    loadConfiguration(example, { environment, file: path });
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfiguration', () => {
  it('takes defaults, then the file, then the environment', async () => {
    const path = await file('good.json', '{"PORT": 81, "LEVEL": "debug", "NAME": "file"}');
    expect(loadConfiguration(example, { environment: { NAME: 'env', HOME: '/' }, file: path })).toEqual({
      PORT: 81,
      BASE: null,
      LEVEL: 'debug',
      TOKEN: null,
      NAME: 'env',
    });
  });

  it('counts an empty value as none', () => {
    expect(loadConfiguration(example, { environment: { PORT: '', TOKEN: '' } })).toMatchObject({
      PORT: 80,
      TOKEN: null,
    });
  });

  it('names everything that is wrong at once, each with its rule and an example', () => {
    expect(problems({ PORT: '99999', BASE: 'ftp://user:sesame@host/', LEVEL: 'loud' })).toEqual([
      'PORT: must be a port, 1 to 65535, for example 8787; it is "99999"',
      'BASE: must be an http or https URL without a user, for example https://manager.example; it is "ftp://***@host/"',
      'LEVEL: must be info or debug, for example info; it is "loud"',
    ]);
  });

  it.each(['1e3', '0x50', '80 ', '-1', '8.5', '80abc'])('refuses %s for a number', (PORT) => {
    expect(problems({ PORT })).toHaveLength(1);
  });

  it('never shows a secret', () => {
    expect(problems({ TOKEN: 'sesame' })).toEqual([
      'TOKEN: must be at least 8 characters, for example f00df00d',
    ]);
  });

  it('reads a secret from a file, without its last newline', async () => {
    const path = await file('token', 'open sesame\n');
    expect(loadConfiguration(example, { environment: { TOKEN_FILE: path } }).TOKEN).toBe('open sesame');
    expect(problems({ TOKEN_FILE: path, TOKEN: 'another one' })).toEqual([
      'TOKEN: give either TOKEN or TOKEN_FILE, not both',
    ]);
    expect(problems({ TOKEN_FILE: join(directory, 'missing') })[0]).toMatch(
      /^TOKEN_FILE: must be the path of a readable file: ENOENT/,
    );
  });

  it('reads no file that has no end', () => {
    expect(problems({ TOKEN_FILE: '/dev/zero' })).toEqual([
      'TOKEN_FILE: must be the path of a readable file: it has more than 1048576 bytes',
    ]);
    expect(problems({}, '/dev/zero').join()).toContain('it has more than 1048576 bytes: /dev/zero');
  });

  it('refuses names and values in the file that mean nothing', async () => {
    const path = await file('odd.json', '{"PROT": 1, "NAME": ["a"], "constructor": {"prototype": 1}}');
    expect(problems({}, path)).toEqual([
      `PROT: is no setting; it stands in ${path}`,
      `NAME: must be a text, a number, true or false; it stands in ${path}`,
      `constructor: is no setting; it stands in ${path}`,
    ]);
  });

  it('refuses a file that is not JSON without quoting it', async () => {
    const path = await file('bad.json', '{"TOKEN": sesame');
    expect(problems({}, path).join()).toMatch(/CONFIG_FILE: must be the path of a readable JSON file/);
    expect(problems({}, path).join()).not.toContain('sesame');
  });

  it('checks what holds between settings', () => {
    expect(problems({ LEVEL: 'debug' })).toEqual(['NAME: must be given when LEVEL is debug']);
  });
});

describe('configurationReference', () => {
  it('shows each setting with its rule, example and default', () => {
    const text = configurationReference(example);
    expect(text).toContain('## `PORT`\n\nWhere it listens.\n\n- must be a port, 1 to 65535\n');
    expect(text).toContain('- default: `80`');
    expect(text).toContain('- or `TOKEN_FILE`, the path of a file that holds it');
  });
});

it('tells which settings were chosen, and no secret', () => {
  const environment = { PORT: '80', BASE: 'https://manager.example/x', TOKEN: 'f00df00d', LEVEL: '' };
  const values = loadConfiguration(example, { environment });
  expect(JSON.stringify(chosenSettings(example, values))).toBe('{"BASE":"https://manager.example/x"}');
});
