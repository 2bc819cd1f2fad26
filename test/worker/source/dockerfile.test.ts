import { expect, test } from 'vitest';
import { BuildError } from '../../../src/contract/build-errors.ts';
import { imageKey, parseImageName } from '../../../src/worker/source/dockerfile/image-name.ts';
import { readDockerfile } from '../../../src/worker/source/dockerfile/read-dockerfile.ts';
import { DIGEST, traits } from './dockerfile-shapes.ts';
import { wholes } from './whole-dockerfiles.ts';

test('there are sixty shapes and more', () => {
  expect(traits.length + wholes.length).toBeGreaterThanOrEqual(60);
});

test.each([...traits, ...wholes])(
  '$what',
  ({ text, base, images, uncertain, buildArgs = {}, target = '' }) => {
    const read = readDockerfile(text, 'Dockerfile', { buildArgs, target });
    expect(read.base.reference).toBe(
      uncertain && !images.includes(base) ? base.replace(/:latest$/, '') : base,
    );
    expect(read.images.map((image) => image.reference)).toEqual(images);
    expect(read.uncertain).toBe(uncertain ?? false);
  },
);

test.each([
  ['', /"app\/Dockerfile" has no FROM/],
  ['# only a comment\n', /has no FROM/],
  ['ARG X=1\n', /has no FROM/],
  ['RUN true\nFROM a\n', /"app\/Dockerfile", line 1: "RUN" comes before the first FROM/],
  ['<!DOCTYPE html>\n<html>', /line 1: "<!DOCTYPE" comes before/],
  ['\n# x\nthis is no Dockerfile\n', /line 3: "this" comes before/],
  ['FROM\n', /line 1: FROM takes one image/],
  ['FROM a b\n', /line 1: FROM takes one image/],
  ['FROM a AS\n', /line 1: FROM takes one image/],
  ['FROM a AS b c\n', /line 1: FROM takes one image/],
  ['FROM a\nRUN x\n\nFROM team/Upper\n', /line 4: "team\/Upper" is no image name/],
  ['FROM a:b:c\n', /line 1: "a:b:c" is no image name/],
  ['FROM https://quay.io/a\n', /no image name/],
  ['FROM $NOTHING\n', /line 1: FROM "\$NOTHING" names no image/],
  ['ARG X\nFROM ${X}\n', /line 2: FROM "\$\{X\}" names no image/],
])('%j is refused with its line', (text, message) => {
  let error: unknown;
  try {
    readDockerfile(text, 'app/Dockerfile');
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(BuildError);
  expect(error).toMatchObject({ code: 'dockerfileissue', message: expect.stringMatching(message) as string });
});

test.each([
  ['FROM a\nRUN cat <<CMD\nCOPY --from=b /x /x\nCMD\n', 'a heredoc, or lines of their own'],
  ['# other=x\n# escape=`\nFROM a\nCMD x `\nCOPY --from=b /x /x\n', 'a directive, or a comment'],
  ['FROM a\n\vCOPY --from=b /x /x\n', 'a space, or a letter'],
  ['FROM a\nCMD x\n\u00a0COPY --from=b /x /x\n', 'a space, or a letter'],
  ['FROM a\nCOPY --fr"o"m=b /x /x\n', 'quotes in a flag'],
  ['FROM a\nRUN --mount=type=bind,"from=b",target=/x x\n', 'quotes in an option'],
  ['FROM a AS x\nONBUILD COPY --from=b /x /x\nFROM x\n', 'what a stage has its heirs do'],
  ['FROM a AS h.example/b\nFROM a\nCMD from h.example/b\n', 'a text'],
  ['ARG X=a\nARG X\nFROM ${X:-b}\n', 'a variable that is declared twice'],
  ["ARG X='a'\nFROM ${X:+b}\n", 'a quoted variable'],
])('%j may name more images to some engine: %s', (text) => {
  expect(readDockerfile(text, 'Dockerfile').mayNameMore).toBe(true);
});

test.each([
  '# from here\nFROM a\n  # and from there\nRUN x\n',
  'FROM --platform=linux/amd64 a AS from-here\r\nFROM from-here\r\nCOPY --from=from-here \\\r\n --chown=1 x y\r\n',
  'ARG X=1 Y\nARG Z=$X\nFROM a:${Z:-2}\nRUN --mount=from=b,target=/x --mount=type=cache,from=c,target=/y x\n',
  'FROM a\nCOPY --fr\\\n# and\nom=b x y\n',
])('%j names no more than the images that are read', (text) => {
  expect(readDockerfile(text, 'Dockerfile').mayNameMore).toBe(false);
});

test('only what can be the name of a stage is one', () => {
  const { images } = readDockerfile(
    'FROM a AS h.example/b\nFROM a\nCOPY --from=h.example/b x y\n',
    'Dockerfile',
  );
  expect(images.map(({ reference }) => reference)).toEqual(['a:latest', 'h.example/b:latest']);
});

test.each([
  ['nginx', 'docker.io', 'nginx', 'latest'],
  ['team/app:1', 'docker.io', 'team/app', '1'],
  ['docker.io/team/app', 'docker.io', 'docker.io/team/app', 'latest'],
  ['index.docker.io/team/app', 'docker.io', 'index.docker.io/team/app', 'latest'],
  ['localhost/app', 'localhost', 'localhost/app', 'latest'],
  ['registry:5000/app:v1', 'registry:5000', 'registry:5000/app', 'v1'],
  ['[::1]:5000/app', '[::1]:5000', '[::1]:5000/app', 'latest'],
  [`quay.io/a/b/c@${DIGEST}`, 'quay.io', 'quay.io/a/b/c', DIGEST],
])('the image name %s is read', (text, registry, name, tag) => {
  expect(parseImageName(text)).toMatchObject({ registry, name, tag });
});

test.each([
  '',
  'A',
  'a//b',
  'a:',
  'a@',
  'a@sha256:1',
  'a@b@c',
  '-a',
  'a b',
  '/a',
  'a/',
  `a:${'x'.repeat(129)}`,
  'x'.repeat(256),
])('the image name %j is refused', (text) => {
  expect(parseImageName(text)).toBeNull();
});

test('names of one image have one key', () => {
  const keys = [
    'nginx',
    'nginx:latest',
    'docker.io/nginx',
    'docker.io/library/nginx',
    'index.docker.io/library/nginx:latest',
  ];
  expect(
    new Set(keys.map((each) => parseImageName(each)).map((image) => image && imageKey(image))).size,
  ).toBe(1);
});

test('a Dockerfile as large as the limit allows, made to be slow, is read', () => {
  const size = 1024 * 1024;
  const slow = [
    `FROM a\n${'FROM a\n'.repeat(20_000)}`,
    `ARG X=${'$X'.repeat(1000)}\n${'ARG X=$X$X\n'.repeat(1000)}FROM a\n`,
    `FROM a\nRUN ${'x \\\n'.repeat(size / 4)}`,
    `FROM a\nRUN ${'<<A '.repeat(5000)}\n${'A\n'.repeat(5000)}`,
    `FROM a\nCOPY ${'--from=b '.repeat(20_000)} x y`,
  ];
  for (const text of slow) expect(readDockerfile(text, 'Dockerfile').base.name).toBe('a');
});
