import { expect, test } from 'vitest';
import {
  readDockerfile,
  type DockerfileOptions,
} from '../../../src/worker/source/dockerfile/read-dockerfile.ts';

/** The images of a Dockerfile, as its build arguments and target make them. */

function images(text: string, options: Partial<DockerfileOptions>): [base: string, ...images: string[]] {
  const read = readDockerfile(text, 'Dockerfile', { buildArgs: {}, target: '', ...options });
  return [read.base.reference, ...read.images.map((image) => image.reference)];
}

test.each<[string, string, Record<string, string>, string]>([
  ['before its default', 'ARG T=1\nFROM a:$T', { T: '2' }, 'a:2'],
  ['without a default', 'ARG T\nFROM a:$T', { T: '2' }, 'a:2'],
  ['in the default of another', 'ARG T=1\nARG I=a:$T\nFROM $I', { T: '2' }, 'a:2'],
  ['an empty one counts', 'ARG T=1\nFROM a:${T:-3}', { T: '' }, 'a:3'],
  ['as it is, nothing in it replaced', 'ARG T=1\nARG U=1\nFROM a:${U:+x}', { U: '$T' }, 'a:x'],
  ['only of what is declared', 'FROM a:${T:-3}', { T: '2' }, 'a:3'],
  ['not of what is declared in a stage', 'FROM b AS b\nARG T\nFROM a:${T:-3}', { T: '2' }, 'a:3'],
])('a build argument is taken %s', (_what, text, buildArgs, base) => {
  expect(images(text, { buildArgs })[0]).toBe(base);
});

const STAGES =
  'FROM a AS one\nCOPY --from=x / /\nFROM b AS Two\nCOPY --from=y / /\nFROM two AS three\nFROM c\n';

test.each<[target: string, ...images: string[]]>([
  ['', 'c:latest', 'c:latest', 'a:latest', 'x:latest', 'b:latest', 'y:latest'],
  ['one', 'a:latest', 'a:latest', 'x:latest'],
  ['0', 'a:latest', 'a:latest', 'x:latest'],
  ['TWO', 'b:latest', 'b:latest', 'a:latest', 'x:latest', 'y:latest'],
  ['three', 'b:latest', 'b:latest', 'a:latest', 'x:latest', 'y:latest'],
])('the target %j has its own base, and needs nothing of what comes after it', (target, ...expected) => {
  expect(images(STAGES, { target })).toEqual(expected);
});

test('a target that is not there is refused, with those that are', () => {
  expect(() => images(STAGES, { target: 'four' })).toThrow(
    'has no stage "four", which is the target. Its stages are "one", "two", "three".',
  );
  expect(() => images('FROM a', { target: '1' })).toThrow('None of its stages has a name.');
});

test.each<[flag: string, platform: string | undefined]>([
  ['', undefined],
  ['--platform=$TARGETPLATFORM ', undefined],
  ['--platform=${TARGETPLATFORM} ', undefined],
  ['--platform=linux/arm64 ', 'linux/arm64'],
  ['--platform=$P ', 'linux/riscv64'],
  ['--platform=$BUILDPLATFORM ', ''],
  ['--platform=linux/$TARGETARCH ', ''],
])('FROM %sa is for the platform %s', (flag, platform) => {
  const { base } = readDockerfile(`ARG P=linux/riscv64\nFROM ${flag}a\n`, 'Dockerfile');
  expect(base.platform).toBe(platform);
});
