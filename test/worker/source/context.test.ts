import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../../lab/process.ts';
import { locateContext } from '../../../src/worker/source/context.ts';
import { defaultSourceLimits } from '../../../src/worker/source/limits.ts';
import { createWorkplace, refusal, type Workplace } from './harness.ts';

/** A package with these files; a value that begins with `->` is a link. */
async function packageOf(files: Readonly<Record<string, string>>): Promise<Workplace> {
  const place = await createWorkplace();
  for (const [name, content] of Object.entries(files)) {
    const path = join(place.directory, name);
    await mkdir(dirname(path), { recursive: true });
    if (content.startsWith('->')) await symlink(content.slice(2), path);
    else await writeFile(path, content);
  }
  return place;
}

function locate(place: Workplace, context: string, dockerfile: string, limits = {}) {
  const build = { context, dockerfile_path: dockerfile };
  return locateContext(place.directory, build, { ...defaultSourceLimits, ...limits });
}

const files = {
  Dockerfile: 'FROM root',
  'Dockerfile.prod': 'FROM prod',
  'app/Dockerfile': 'FROM app',
  'app/docker/Dockerfile': 'FROM deep',
  'linked/Dockerfile': '->../app/Dockerfile',
  folder: '->app',
  beside: '->Dockerfile.prod',
};

test.each([
  ['', '', '', 'Dockerfile', 'FROM root'],
  ['/', '', '', 'Dockerfile', 'FROM root'],
  ['.', './Dockerfile', '', 'Dockerfile', 'FROM root'],
  ['app', '', 'app', 'app/Dockerfile', 'FROM app'],
  ['/app/', '', 'app', 'app/Dockerfile', 'FROM app'],
  ['app', 'docker/Dockerfile', 'app', 'app/docker/Dockerfile', 'FROM deep'],
  ['app', '/docker/Dockerfile', 'app', 'app/docker/Dockerfile', 'FROM deep'],
  ['app', '../Dockerfile.prod', 'app', 'Dockerfile.prod', 'FROM prod'],
  ['', 'app/Dockerfile', '', 'app/Dockerfile', 'FROM app'],
  ['app/docker/..', '', 'app', 'app/Dockerfile', 'FROM app'],
  // A link to another folder is followed here: engines do not.
  ['linked', '', 'linked', 'app/Dockerfile', 'FROM app'],
  ['', 'beside', '', 'beside', 'FROM prod'],
  ['folder', '', 'app', 'app/Dockerfile', 'FROM app'],
])('context %j and Dockerfile %j are found', async (context, path, folder, file, text) => {
  await using place = await packageOf(files);
  const located = await locate(place, context, path);
  expect(located.contextDirectory).toBe(join(place.directory, folder));
  expect(located.dockerfile).toBe(join(place.directory, file));
  expect(located.text).toBe(text);
});

test.each([
  ['..', '', /context, "\.\.", leaves the package/],
  ['app/../../build', '', /leaves the package/],
  ['', '../Dockerfile', /Dockerfile, "\.\.\/Dockerfile", leaves/],
  ['app', '../../outside', /leaves the package/],
  ['a\0b', '', /NUL/],
  ['', 'a\0b', /NUL/],
  ['nowhere', '', /"nowhere" is not in the package. It has the folders "app", "linked", "app\/docker"/],
  ['Dockerfile', '', /is a file, not a folder/],
  ['', 'missing', /no "missing" in the package. It has "Dockerfile", "Dockerfile.prod", "app\/Dockerfile"/],
  ['app', 'Dockerfile/x', /There is no "app\/Dockerfile\/x"/],
  ['', 'app', /"app" is a folder/],
])('context %j and Dockerfile %j are refused', async (context, path, message) => {
  await using place = await packageOf(files);
  expect((await refusal(locate(place, context, path), 'dockerfileissue')).message).toMatch(message);
});

test('links do not lead out of the package', async () => {
  await using place = await packageOf({
    Dockerfile: '->../secret',
    up: '->..',
    'inner/Dockerfile': '->/etc/hostname',
    dangling: '->nowhere',
  });
  await writeFile(join(place.outside, 'secret'), 'FROM outside');
  for (const [context, path] of [
    ['', ''],
    ['up', ''],
    ['', 'up/secret'],
    ['inner', ''],
  ] as const) {
    const { message } = await refusal(locate(place, context, path), 'dockerfileissue');
    expect(message).toMatch(/leads out of the package by a link/);
    expect(message).not.toContain(place.outside);
  }
  expect((await refusal(locate(place, '', 'dangling'), 'dockerfileissue')).message).toContain(
    'no "dangling"',
  );
});

test('a Dockerfile that is empty, too large, or no file is refused', async () => {
  await using place = await packageOf({ Dockerfile: ' \n\t\n', large: 'FROM x\n'.repeat(1000) });
  expect((await refusal(locate(place, '', ''), 'dockerfileissue')).message).toContain('is empty');
  const large = locate(place, '', 'large', { dockerfileBytes: 1024 });
  expect((await refusal(large, 'dockerfileissue')).message).toContain('larger than 1 KiB');
  await run('mkfifo', [join(place.directory, 'pipe')]);
  expect((await refusal(locate(place, '', 'pipe'), 'dockerfileissue')).message).toContain('no ordinary file');
});

test('a package without anything like a Dockerfile is said to have none', async () => {
  await using place = await packageOf({ 'src/main.c': '' });
  const { message } = await refusal(locate(place, '', ''), 'dockerfileissue');
  expect(message).toBe('There is no "Dockerfile" in the package. Nothing in it looks like a Dockerfile.');
});
