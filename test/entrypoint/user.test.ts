import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addedGroups, chooseUser, imageUser, offerFolder, socketOwner } from '../../src/entrypoint/user.ts';

/** Whom a container that was started as root runs as. */

const own = { uid: 1001, gid: 1001, groups: [], home: '/var/lib/quay-builder' };

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-entrypoint-test-'));
});
afterEach(() => rm(directory, { recursive: true }));

it.each([
  ['its group', 0o660, { uid: 1001, groups: [1001, 998] }],
  ['everybody', 0o666, { uid: 1001, groups: [1001] }],
  ['its owner alone', 0o600, { uid: 7, groups: [1001] }],
])('a socket that %s may use', async (_who, mode, expected) => {
  const path = join(directory, 'engine.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  await chown(path, 7, 998);
  await chmod(path, mode);
  const { user, warning } = chooseUser(own, [], socketOwner({ DOCKER_HOST: `unix://${path}` }));
  server.close();
  expect(user).toMatchObject(expected);
  expect(warning !== null).toBe(user.uid !== 1001);
});

it('without a socket of this machine, the user of the image', () => {
  for (const host of ['tcp://engine:2376', 'unix:///nowhere.sock'])
    expect(chooseUser(own, [], socketOwner({ DOCKER_HOST: host }))).toEqual({
      user: { ...own, groups: [1001] },
      warning: null,
    });
});

it('groups that the container was given are kept, those of its root are not', async () => {
  const path = join(directory, 'group');
  await writeFile(path, 'root:x:0:\nbin:x:1:root,bin\nwheel:x:10:root\ndocker:x:998:someone\n');
  const more = addedGroups([0, 1, 10, 998, 5000], path);
  expect(more).toEqual([998, 5000]);
  expect(chooseUser(own, more, null).user.groups).toEqual([1001, 998, 5000]);
});

it('the user of the image is who its passwd says', async () => {
  const path = join(directory, 'passwd');
  await writeFile(path, 'root:x:0:0:root:/root:/bin/sh\n');
  expect(imageUser(path)).toBeNull();
  await writeFile(
    path,
    'root:x:0:0::/root:/bin/sh\nquay-builder:x:1001:1001::/var/lib/quay-builder:/bin/sh\n',
  );
  expect(imageUser(path)).toEqual(own);
});

it('a work directory that is missing or empty is given to the user, one that is in use is left', async () => {
  const made = join(directory, 'a/work');
  await offerFolder(made, own);
  expect(await stat(made)).toMatchObject({ uid: 1001, gid: 1001 });
  const used = join(directory, 'used');
  await mkdir(used);
  await writeFile(join(used, 'key'), '');
  await offerFolder(used, own);
  expect((await stat(used)).uid).toBe(0);
  expect(await readdir(used)).toEqual(['key']);
  await offerFolder('/proc/work', own);
});
