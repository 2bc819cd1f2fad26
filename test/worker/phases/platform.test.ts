import { describe, expect, it } from 'vitest';
import type { Behaviour } from '../test-manager.ts';
import { build, image, notingEngine, withBase } from './one-build.ts';

describe('a platform', () => {
  const arm: Behaviour = { extensions: ['platform'] };
  const base = image('docker.io', 'busybox', 'stable');

  it('is what bases are pulled for and the image is built for', async () => {
    const { engine, builds } = notingEngine();
    const asked: unknown[] = [];
    const story = await build(
      {
        ...engine,
        pull: (reference, _credentials, _call, platform) => {
          asked.push([reference, platform]);
          return Promise.resolve();
        },
        inspect: (reference) =>
          Promise.resolve({
            imageId: 'sha256:base',
            platform: reference.startsWith('tools') ? 'linux/amd64' : 'linux/arm64',
          }),
      },
      {
        kwargs: { platform: 'linux/arm64/v8' },
        source: withBase(base, { ...image('docker.io', 'tools', '1'), platform: '' }),
        behaviour: arm,
      },
    );
    expect(story.error).toBeNull();
    expect(asked).toEqual([
      ['busybox:stable', 'linux/arm64/v8'],
      ['tools:1', ''],
    ]);
    expect(builds[0]?.platform).toBe('linux/arm64/v8');
  });

  it("that a base has not is the user's to mend", async () => {
    const { engine } = notingEngine();
    const story = await build(engine, {
      kwargs: { platform: 'linux/arm64' },
      source: withBase(base),
      behaviour: arm,
    });
    expect(story).toMatchObject({
      error: 'io.quay.builder.cannotpullbaseimage',
      kwargs: {
        base_error: 'The base image busybox:stable is for linux/amd64, and the build is for linux/arm64.',
      },
    });
  });
});
