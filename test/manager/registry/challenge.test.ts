import { expect, it } from 'vitest';
import { readChallenge } from '../../../src/manager/registry/client/challenge.ts';

it.each([
  ['Basic realm="lab"', { scheme: 'basic' }],
  ['basic', { scheme: 'basic' }],
  [
    'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull"',
    { scheme: 'bearer', realm: 'https://auth.example/token', service: 'r.example' },
  ],
  ['bearer Realm="https://a.example"', { scheme: 'bearer', realm: 'https://a.example', service: null }],
  [['Negotiate', 'Basic realm="x"'], { scheme: 'basic' }],
  ['Bearer service="r.example"', null],
  ['Negotiate', null],
  ['Basically', null],
  ['', null],
  [undefined, null],
])('reads %j', (header, challenge) => {
  expect(readChallenge(header)).toEqual(challenge);
});
