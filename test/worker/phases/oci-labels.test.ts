import { expect, test } from 'vitest';
import { ociLabels } from '../../../src/worker/phases/oci-labels.ts';
import type { BaseImage } from '../../../src/worker/source/source.ts';

const base: BaseImage = { reference: 'alpine:3', registry: 'docker.io', name: 'alpine', tag: '3' };
const git = { url: 'https://me:SECRET@git.example/a.git', sha: 'c0ffee', private_key: '' };
const CREATED = Date.UTC(2026, 10, 20, 1, 2, 3);
const PREFIX = 'org.opencontainers.image.';

test('say when, from which commit of what, and on what, without credentials', () => {
  expect(ociLabels({ git }, { base, uncertain: false }, 'FROM alpine:3', CREATED)).toEqual({
    [`${PREFIX}created`]: '2026-11-20T01:02:03.000Z',
    [`${PREFIX}source`]: 'https://git.example/a.git',
    [`${PREFIX}revision`]: 'c0ffee',
    [`${PREFIX}base.name`]: 'docker.io/library/alpine:3',
  });
});

test('say nothing of what is not known', () => {
  const created = { [`${PREFIX}created`]: '2026-11-20T01:02:03.000Z' };
  const scratch = { ...base, reference: 'scratch', name: 'scratch' };
  expect(ociLabels({}, { base: scratch, uncertain: false }, '', CREATED)).toEqual(created);
  expect(ociLabels({ git: null }, { base, uncertain: true }, '', CREATED)).toEqual(created);
});

test('leave to the Dockerfile what it names', () => {
  const text = `FROM alpine:3\nLABEL ${PREFIX}source="https://elsewhere.example" ${PREFIX}created=never\n`;
  expect(Object.keys(ociLabels({ git }, { base, uncertain: false }, text, CREATED))).toEqual([
    `${PREFIX}revision`,
    `${PREFIX}base.name`,
  ]);
});
