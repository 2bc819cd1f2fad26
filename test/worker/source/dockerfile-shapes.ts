/**
 * Dockerfiles as people write them, with what an engine takes from registries for them. Hosts that are named here stand for the
 * registry of a test, and this digest for the one of its image.
 */
export interface DockerfileShape {
  readonly what: string;
  readonly text: string;
  /** What is reported as the base of the stage that is built. */
  readonly base: string;
  /** What is pulled, `base` first. */
  readonly images: readonly string[];
  /** Those of the images that BuildKit asks nobody for, as the stage that is built needs nothing of theirs. */
  readonly unneeded?: readonly string[];
  /** Whether the engine must ask for more than can be read. */
  readonly uncertain?: true;
  /** Whether only frontends newer than the one in Docker 20.10 read it. */
  readonly newer?: true;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly target?: string;
}

export const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
export const HOSTS: readonly string[] = [
  'quay.io',
  'localhost:5000',
  '10.0.0.1:5000',
  'ghcr.io',
  'mcr.microsoft.com',
  'registry.example.com:5000',
];

/** One trait each. */
export const traits: readonly DockerfileShape[] = [
  { what: 'one stage', text: 'FROM busybox\nRUN true\n', base: 'busybox:latest', images: ['busybox:latest'] },
  { what: 'a tag', text: 'FROM node:24-slim', base: 'node:24-slim', images: ['node:24-slim'] },
  {
    what: 'a host with a port',
    text: 'FROM localhost:5000/a/b:1\n',
    base: 'localhost:5000/a/b:1',
    images: ['localhost:5000/a/b:1'],
  },
  {
    what: 'a host with a port and no tag',
    text: 'FROM 10.0.0.1:5000/a\n',
    base: '10.0.0.1:5000/a:latest',
    images: ['10.0.0.1:5000/a:latest'],
  },
  {
    what: 'a digest',
    text: `FROM quay.io/a/b@${DIGEST}`,
    base: `quay.io/a/b@${DIGEST}`,
    images: [`quay.io/a/b@${DIGEST}`],
  },
  { what: 'a tag and a digest', text: `FROM a:1@${DIGEST}`, base: `a@${DIGEST}`, images: [`a@${DIGEST}`] },
  { what: 'scratch', text: 'FROM scratch\nCOPY x /\n', base: 'scratch', images: [] },
  {
    what: 'lower case, CRLF and a byte order mark',
    text: '\uFEFFfrom a as b\r\nrun x\r\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'several stages: the last one is the base',
    text: 'FROM golang:1 AS build\nRUN go build\nFROM alpine:3\nCOPY --from=build /x /x\n',
    base: 'alpine:3',
    images: ['alpine:3', 'golang:1'],
  },
  {
    what: 'stages on stages: the base is the one at the bottom',
    text: 'FROM node:24 AS base\nFROM base AS deps\nFROM other AS x\nFROM deps\n',
    base: 'node:24',
    images: ['node:24', 'other:latest'],
    unneeded: ['other:latest'],
  },
  {
    what: 'a stage in capitals, which the classic builder and newer frontends find',
    text: 'FROM node:24 AS deps\nFROM DEPS\n',
    base: 'node:24',
    images: ['node:24'],
    newer: true,
  },
  {
    what: 'a stage that hides an image of its name',
    text: 'FROM alpine AS alpine\nFROM alpine\n',
    base: 'alpine:latest',
    images: ['alpine:latest'],
  },
  {
    what: 'scratch with a helper',
    text: 'FROM go AS b\nFROM scratch\nCOPY --from=b / /\n',
    base: 'scratch',
    images: ['go:latest'],
  },
  { what: 'ARG with a default', text: 'ARG TAG=1.2\nFROM a:${TAG}\n', base: 'a:1.2', images: ['a:1.2'] },
  {
    what: 'ARG in quotes',
    text: 'ARG IMAGE="quay.io/a/b:1"\nFROM $IMAGE\n',
    base: 'quay.io/a/b:1',
    images: ['quay.io/a/b:1'],
  },
  { what: "ARG in the shell's other quotes", text: "ARG TAG='1'\nFROM a:$TAG", base: 'a:1', images: ['a:1'] },
  {
    what: 'ARG made of ARGs',
    text: 'ARG V=3\nARG I=alpine:${V}\nFROM ${I}\n',
    base: 'alpine:3',
    images: ['alpine:3'],
  },
  { what: 'several in one ARG', text: 'ARG A=x B=2\nFROM $A:$B', base: 'x:2', images: ['x:2'] },
  { what: '${X:-y} without a value', text: 'ARG TAG\nFROM a:${TAG:-7}\n', base: 'a:7', images: ['a:7'] },
  { what: '${X:-y} with a value', text: 'ARG TAG=1\nFROM a:${TAG:-7}\n', base: 'a:1', images: ['a:1'] },
  { what: '${X:-y} never declared', text: 'FROM a:${TAG:-7}\n', base: 'a:7', images: ['a:7'] },
  {
    what: '${X:+y} with a value',
    text: 'ARG SLIM=1\nFROM a:1${SLIM:+-slim}\n',
    base: 'a:1-slim',
    images: ['a:1-slim'],
  },
  {
    what: '${X:+y} without a value',
    text: 'ARG SLIM=\nFROM a:1${SLIM:+-slim}\n',
    base: 'a:1',
    images: ['a:1'],
  },
  {
    what: '${X-y} with an empty value',
    text: 'ARG T=\nFROM a${T-:7}\n',
    base: 'a:latest',
    images: ['a:latest'],
    newer: true,
  },
  { what: '${X:-${Y}}', text: 'ARG Y=9\nFROM a:${X:-${Y:-8}}\n', base: 'a:9', images: ['a:9'] },
  { what: 'a later ARG wins', text: 'ARG T=1\nARG T=2\nFROM a:$T', base: 'a:2', images: ['a:2'] },
  {
    what: 'an ARG in a stage does not count',
    text: 'ARG T=1\nFROM a\nARG T=2\nFROM b:$T',
    base: 'b:1',
    images: ['b:1', 'a:latest'],
    unneeded: ['a:latest'],
  },
  {
    what: '--platform',
    text: 'FROM --platform=$BUILDPLATFORM a:1 AS x\nFROM --platform=linux/arm64 b\n',
    base: 'b:latest',
    images: ['b:latest', 'a:1'],
    unneeded: ['a:1'],
  },
  {
    what: 'lines that go on',
    text: 'FROM \\\n  a:1 \\\n  # a comment\n  AS x\nRUN y\n',
    base: 'a:1',
    images: ['a:1'],
  },
  {
    what: 'an escape of its own',
    text: '# escape=`\nFROM a\nRUN c:\\x\\\nFROM b `\n AS c\n',
    base: 'b:latest',
    images: ['b:latest', 'a:latest'],
    unneeded: ['a:latest'],
  },
  {
    what: 'a syntax of Docker',
    text: '# syntax=docker/dockerfile:1.7\nFROM a\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'comments and blank lines first',
    text: '# hello\n\n  # there\nFROM a\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'COPY --from an image',
    text: 'FROM a\nCOPY --from=nginx:1 /etc /etc\n',
    base: 'a:latest',
    images: ['a:latest', 'nginx:1'],
  },
  {
    what: 'COPY --from with other flags',
    text: 'FROM a\nCOPY --chown=1:1 --from=q/z --link x /\n',
    base: 'a:latest',
    images: ['a:latest', 'q/z:latest'],
    newer: true,
  },
  {
    what: 'COPY --from a number',
    text: 'FROM a\nFROM b\nCOPY --from=0 / /\n',
    base: 'b:latest',
    images: ['b:latest', 'a:latest'],
  },
  {
    what: 'RUN --mount from an image, and from a stage',
    text: 'FROM b AS s\nFROM a\nRUN --mount=type=bind,from=img:1,target=/x --mount=from=s,target=/y --mount=type=cache,target=/z x\n',
    base: 'a:latest',
    images: ['a:latest', 'b:latest', 'img:1'],
  },
  {
    what: 'heredocs',
    text: 'FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-"X" <<Y /d/\nFROM c\n\tX\nCOPY --from=d x y\nY\nCOPY --from=e x y\n',
    base: 'a:latest',
    images: ['a:latest', 'e:latest'],
    newer: true,
  },
  {
    what: 'ONBUILD',
    text: 'FROM a\nONBUILD COPY --from=b x y\nONBUILD RUN --mount=from=c x\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'FROM in a RUN',
    text: 'FROM a\nRUN echo \\\n FROM b && \\\n\n  x\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'one image by several names',
    text: 'FROM docker.io/library/a AS x\nFROM index.docker.io/library/a:latest AS y\nFROM a',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'what the engine sets',
    text: 'FROM a:$TARGETARCH',
    base: 'a:$TARGETARCH:latest',
    images: [],
    uncertain: true,
  },
  {
    what: 'a default for what the engine sets',
    text: 'ARG TARGETARCH=arm\nFROM a:$TARGETARCH',
    base: 'a:$TARGETARCH:latest',
    images: [],
    uncertain: true,
  },
  {
    what: 'a name that becomes readable',
    text: 'ARG T=${A#b}\nARG T=2\nFROM a:$T',
    base: 'a:2',
    images: ['a:2'],
  },
  {
    what: 'what the engine sets, in an ARG',
    text: 'ARG TARGETARCH\nARG I=a:$TARGETARCH\nFROM ${I}',
    base: '${I}:latest',
    images: [],
    uncertain: true,
  },
  {
    what: 'a substitution of newer frontends',
    text: 'ARG T=v1\nFROM b AS b\nFROM a:${T#v}',
    base: 'a:${T#v}:latest',
    images: ['b:latest'],
    uncertain: true,
    newer: true,
  },
  {
    what: 'a variable in COPY --from',
    text: 'FROM a\nCOPY --from=$X / /\n',
    base: 'a:latest',
    images: ['a:latest'],
    uncertain: true,
    newer: true,
  },
  {
    what: 'a frontend of someone else',
    text: '# syntax=corp/frontend:2\nkind: Image\n',
    base: 'corp/frontend:2:latest',
    images: [],
    uncertain: true,
  },
];
