import { expect, it } from 'vitest';
import { readTagReference } from '../../src/contract/references.ts';

it.each([
  ['registry.example/team/app:v1', { host: 'registry.example', repository: 'team/app', tag: 'v1' }],
  ['localhost/a/b/c:latest', { host: 'localhost', repository: 'a/b/c', tag: 'latest' }],
  ['127.0.0.1:5000/team/app:1.0', { host: '127.0.0.1:5000', repository: 'team/app', tag: '1.0' }],
])('reads the parts of %s', (text, parts) => {
  expect(readTagReference(text)).toEqual(parts);
});

it.each([
  '',
  'app:v1',
  'team/app:v1',
  'registry.example/team/app',
  'registry.example/app:v1',
  'registry.example/Team/app:v1',
  'registry.example/team/app:',
  'registry.example/team/app:v1@sha256:00',
  'user@registry.example/team/app:v1',
  'http://registry.example/team/app:v1',
  'registry.example/../app:v1',
  `registry.example/team/${'a'.repeat(300)}:v1`,
])('takes %j for none', (text) => {
  expect(readTagReference(text)).toBeNull();
});
