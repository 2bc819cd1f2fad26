import { expect, test } from 'vitest';
import { BuildError } from '../../../src/contract/build-errors.ts';
import { imageKey, parseImageName } from '../../../src/worker/source/dockerfile/image-name.ts';
import { readDockerfile } from '../../../src/worker/source/dockerfile/read-dockerfile.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** A Dockerfile, the base that is reported, the images that are pulled, and whether the engine must ask for more. */
const shapes: [what: string, text: string, base: string, images: string[], uncertain?: true][] = [
  ['one stage', 'FROM busybox\nRUN true\n', 'busybox:latest', ['busybox:latest']],
  ['a tag', 'FROM node:24-slim', 'node:24-slim', ['node:24-slim']],
  ['a host with a port', 'FROM localhost:5000/a/b:1\n', 'localhost:5000/a/b:1', ['localhost:5000/a/b:1']],
  [
    'a host with a port and no tag',
    'FROM 10.0.0.1:5000/a\n',
    '10.0.0.1:5000/a:latest',
    ['10.0.0.1:5000/a:latest'],
  ],
  ['a digest', `FROM quay.io/a/b@${DIGEST}`, `quay.io/a/b@${DIGEST}`, [`quay.io/a/b@${DIGEST}`]],
  ['a tag and a digest', `FROM a:1@${DIGEST}`, `a@${DIGEST}`, [`a@${DIGEST}`]],
  ['scratch', 'FROM scratch\nCOPY x /\n', 'scratch', []],
  ['lower case, CRLF and a byte order mark', '\uFEFFfrom a as b\r\nrun x\r\n', 'a:latest', ['a:latest']],
  [
    'several stages: the last one is the base',
    'FROM golang:1 AS build\nRUN go build\nFROM alpine:3\nCOPY --from=build /x /x\n',
    'alpine:3',
    ['alpine:3', 'golang:1'],
  ],
  [
    'stages on stages: the base is the one at the bottom',
    'FROM node:24 AS base\nFROM base AS deps\nFROM other AS x\nFROM DEPS\n',
    'node:24',
    ['node:24', 'other:latest'],
  ],
  [
    'a stage that hides an image of its name',
    'FROM alpine AS alpine\nFROM alpine\n',
    'alpine:latest',
    ['alpine:latest'],
  ],
  ['scratch with a helper', 'FROM go AS b\nFROM scratch\nCOPY --from=b / /\n', 'scratch', ['go:latest']],
  ['ARG with a default', 'ARG TAG=1.2\nFROM a:${TAG}\n', 'a:1.2', ['a:1.2']],
  ['ARG in quotes', 'ARG IMAGE="quay.io/a/b:1"\nFROM $IMAGE\n', 'quay.io/a/b:1', ['quay.io/a/b:1']],
  ["ARG in the shell's other quotes", "ARG TAG='1'\nFROM a:$TAG", 'a:1', ['a:1']],
  ['ARG made of ARGs', 'ARG V=3\nARG I=alpine:${V}\nFROM ${I}\n', 'alpine:3', ['alpine:3']],
  ['several in one ARG', 'ARG A=x B=2\nFROM $A:$B', 'x:2', ['x:2']],
  ['${X:-y} without a value', 'ARG TAG\nFROM a:${TAG:-7}\n', 'a:7', ['a:7']],
  ['${X:-y} with a value', 'ARG TAG=1\nFROM a:${TAG:-7}\n', 'a:1', ['a:1']],
  ['${X:-y} never declared', 'FROM a:${TAG:-7}\n', 'a:7', ['a:7']],
  ['${X:+y} with a value', 'ARG SLIM=1\nFROM a:1${SLIM:+-slim}\n', 'a:1-slim', ['a:1-slim']],
  ['${X:+y} without a value', 'ARG SLIM=\nFROM a:1${SLIM:+-slim}\n', 'a:1', ['a:1']],
  ['${X-y} with an empty value', 'ARG T=\nFROM a${T-:7}\n', 'a:latest', ['a:latest']],
  ['${X:-${Y}}', 'ARG Y=9\nFROM a:${X:-${Y:-8}}\n', 'a:9', ['a:9']],
  ['a later ARG wins', 'ARG T=1\nARG T=2\nFROM a:$T', 'a:2', ['a:2']],
  ['an ARG in a stage does not count', 'ARG T=1\nFROM a\nARG T=2\nFROM b:$T', 'b:1', ['b:1', 'a:latest']],
  [
    '--platform',
    'FROM --platform=$BUILDPLATFORM a:1 AS x\nFROM --platform=linux/arm64 b\n',
    'b:latest',
    ['b:latest', 'a:1'],
  ],
  ['lines that go on', 'FROM \\\n  a:1 \\\n  # a comment\n  AS x\nRUN y\n', 'a:1', ['a:1']],
  [
    'an escape of its own',
    '# escape=`\nFROM a\nRUN c:\\x\\\nFROM b `\n AS c\n',
    'b:latest',
    ['b:latest', 'a:latest'],
  ],
  ['a syntax of Docker', '# syntax=docker/dockerfile:1.7\nFROM a\n', 'a:latest', ['a:latest']],
  ['comments and blank lines first', '# hello\n\n  # there\nFROM a\n', 'a:latest', ['a:latest']],
  ['COPY --from an image', 'FROM a\nCOPY --from=nginx:1 /etc /etc\n', 'a:latest', ['a:latest', 'nginx:1']],
  [
    'COPY --from with other flags',
    'FROM a\nCOPY --chown=1:1 --from=q/z --link x /\n',
    'a:latest',
    ['a:latest', 'q/z:latest'],
  ],
  ['COPY --from a number', 'FROM a\nFROM b\nCOPY --from=0 / /\n', 'b:latest', ['b:latest', 'a:latest']],
  [
    'RUN --mount from an image, and from a stage',
    'FROM a AS s\nRUN --mount=type=bind,from=img:1,target=/x --mount=from=s,target=/y --mount=type=cache,target=/z x\n',
    'a:latest',
    ['a:latest', 'img:1'],
  ],
  [
    'heredocs',
    'FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-"X" <<Y /d/\nFROM c\n\tX\nCOPY --from=d x y\nY\nCOPY --from=e x y\n',
    'a:latest',
    ['a:latest', 'e:latest'],
  ],
  ['ONBUILD', 'FROM a\nONBUILD COPY --from=b x y\nONBUILD RUN --mount=from=c x\n', 'a:latest', ['a:latest']],
  ['FROM in a RUN', 'FROM a\nRUN echo \\\n FROM b && \\\n\n  x\n', 'a:latest', ['a:latest']],
  [
    'one image by several names',
    'FROM docker.io/library/a AS x\nFROM index.docker.io/library/a:latest AS y\nFROM a',
    'a:latest',
    ['a:latest'],
  ],
  ['what the engine sets', 'FROM a:$TARGETARCH', 'a:$TARGETARCH:latest', [], true],
  [
    'a default for what the engine sets',
    'ARG TARGETARCH=arm\nFROM a:$TARGETARCH',
    'a:$TARGETARCH:latest',
    [],
    true,
  ],
  ['a name that becomes readable', 'ARG T=${A#b}\nARG T=2\nFROM a:$T', 'a:2', ['a:2']],
  [
    'what the engine sets, in an ARG',
    'ARG TARGETARCH\nARG I=a:$TARGETARCH\nFROM ${I}',
    '${I}:latest',
    [],
    true,
  ],
  [
    'a substitution of newer frontends',
    'ARG T=v1\nFROM b AS b\nFROM a:${T#v}',
    'a:${T#v}:latest',
    ['b:latest'],
    true,
  ],
  ['a variable in COPY --from', 'FROM a\nCOPY --from=$X / /\n', 'a:latest', ['a:latest'], true],
  [
    'a frontend of someone else',
    '# syntax=corp/frontend:2\nkind: Image\n',
    'corp/frontend:2:latest',
    [],
    true,
  ],
];

test.each(shapes)('%s', (_what, text, base, images, uncertain) => {
  const read = readDockerfile(text, 'Dockerfile');
  expect(read.base.reference).toBe(uncertain && !images.includes(base) ? base.replace(/:latest$/, '') : base);
  expect(read.images.map((image) => image.reference)).toEqual(images);
  expect(read.uncertain).toBe(uncertain ?? false);
});

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
