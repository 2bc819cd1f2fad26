import { describe, expect, it } from 'vitest';
import { readSource } from '../../../src/cli/submit/source.ts';
import { writeTo } from '../../../src/cli/view/streams.ts';
import {
  fitColumns,
  formatBytes,
  formatDuration,
  formatTable,
  safeForTerminal,
} from '../../../src/cli/view/text.ts';

describe('text for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [12_345_678, '12.3 MB'],
    [5e15, '5000.0 TB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [-5, '0:00'],
    [65_999, '1:05'],
    [3_723_000, '1:02:03'],
  ])('%i ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    ['fits', 4, 'fits'],
    ['too long', 4, 'too…'],
    ['漢字漢字', 5, '漢…'],
    ['e\u0301e\u0301e\u0301', 2, 'e\u0301…'],
  ])('%s in %i columns is %s', (text, columns, fitted) => {
    expect(fitColumns(text, columns)).toBe(fitted);
  });

  it('aligns the columns of a table', () => {
    expect(
      formatTable(
        ['A', 'LONG'],
        [
          ['xyz', '1'],
          ['', '2'],
        ],
      ),
    ).toBe('A    LONG\nxyz  1\n     2\n');
  });

  it.each([
    ['\u001b[31mred\u001b[0m', '\u001b[31mred\u001b[0m'],
    ['\u001b[2J\u001b[1;1Hgone', 'gone'],
    ['\u001b]0;title\u0007text', 'text'],
    ['10%\r20%\r\ndone', '10%\n20%\ndone'],
    ['tab\tbell\u0007 \u009b2Jx\u0000', 'tab\tbell x'],
  ])('%j reaches a terminal as %j', (text, safe) => {
    expect(safeForTerminal(text)).toBe(safe);
  });

  it('leaves colours out where they are not wanted', () => {
    expect(safeForTerminal('\u001b[31mred\u001b[0m', { colours: false })).toBe('red');
  });

  it.each([
    [true, {}, '\u001b[31mred\u001b[0m'],
    [true, { NO_COLOR: '1' }, 'red'],
    [true, { TERM: 'dumb' }, 'red'],
    [false, { NO_COLOR: '1' }, '\u001b[2J\u001b[31mred\u001b[0m'],
  ])('a stream that is a terminal (%s), with %j, is given %j', (isTTY, env, given) => {
    let written = '';
    const write = writeTo({ isTTY, write: (text) => (written += text) }, env);
    write('\u001b[2J\u001b[31mred\u001b[0m');
    expect(written).toBe(given);
  });
});

describe('SOURCE', () => {
  it.each([
    ['https://git.example/a.git', { type: 'git', url: 'https://git.example/a.git', ref: null, folder: '' }],
    [
      'https://git.example/a.git#v1',
      { type: 'git', url: 'https://git.example/a.git', ref: 'v1', folder: '' },
    ],
    [
      'https://git.example/a#main:svc/api',
      { type: 'git', url: 'https://git.example/a', ref: 'main', folder: 'svc/api' },
    ],
    ['git+https://git.example/a', { type: 'git', url: 'https://git.example/a', ref: null, folder: '' }],
    ['git@git.example:a.git', { type: 'git', url: 'git@git.example:a.git', ref: null, folder: '' }],
    ['ssh://git@git.example/a', { type: 'git', url: 'ssh://git@git.example/a', ref: null, folder: '' }],
    ['https://files.example/a.tar.gz?x=1', { type: 'url', url: 'https://files.example/a.tar.gz?x=1' }],
    [import.meta.dirname, { type: 'folder', path: import.meta.dirname }],
  ])('%s is understood', async (text, source) => {
    expect(await readSource(text)).toEqual(source);
  });
});
