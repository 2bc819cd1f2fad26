import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGitServer } from '../lab/git-server.ts';
import { run } from '../lab/process.ts';
import { buildArgumentsSchema } from '../src/contract/build-arguments.ts';
import { createSourceFetcher } from '../src/worker/source/index.ts';
import { median, timed, type Row } from './row.ts';

const RUNS = 7;
const COMMITS = 5_000;
const FILES = 500;
const LINES = 100;
const GOAL = 5;

/**
 * A commit fetched and checked out as a worker does it, against `git clone` and `git checkout` by hand, in turn, over http from one server on
 * the loopback. The repository has 5,000 commits, each of which changes a line in three of its 500 files. The commit is not the newest.
 */
export async function benchGitFetch(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-git-'));
  try {
    await using server = await startGitServer();
    await server.importHistory('history', history());
    const url = server.url('history');
    const probe = join(directory, 'probe');
    await clone(url, probe);
    const sha = (await run('git', ['-C', probe, 'rev-parse', 'HEAD~10'])).trim();
    const fetchSource = createSourceFetcher();
    const build = buildArgumentsSchema.parse({
      ...{ build_package: '', registry: '127.0.0.1:9', repository: 'bench/git', tag_names: ['latest'] },
      ...{ pull_token: '', push_token: '', git: { url, sha, private_key: '' } },
    });
    const times = { worker: [] as number[], hand: [] as number[] };
    for (let round = 0; round < RUNS; round += 1) {
      const [own, cloned] = [await mkdtemp(join(directory, 'worker-')), join(directory, `hand-${round}`)];
      const signal = new AbortController().signal;
      times.worker.push(
        await timed(() => fetchSource(build, { directory: own, signal, onMessage: () => undefined })),
      );
      times.hand.push(
        await timed(async () => {
          await clone(url, cloned);
          await run('git', ['-C', cloned, 'checkout', '--quiet', '--detach', sha]);
        }),
      );
      await Promise.all([own, cloned].map((each) => rm(each, { recursive: true })));
    }
    const [ours, theirs] = [median(times.worker), median(times.hand)];
    return [
      {
        name: `a commit of ${COMMITS} against a full clone`,
        value: theirs / ours,
        unit: 'times faster',
        baseline: `git clone and checkout ${theirs.toFixed(0)} ms, worker ${ours.toFixed(0)} ms, medians of ${RUNS}`,
        goal: `at least ${GOAL}`,
        met: theirs / ours >= GOAL,
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function clone(url: string, directory: string): Promise<string> {
  return run('git', ['clone', '--quiet', url, directory], {
    env: {
      PATH: process.env['PATH'],
      HOME: tmpdir(),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
    },
  });
}

/** The stream of `git fast-import` for the repository. */
function history(): string {
  const files = Array.from({ length: FILES }, (_, file) =>
    Array.from({ length: LINES }, (_line, line) => lineOf(file, line, 0)),
  );
  const parts: string[] = [];
  const put = (file: number): void => {
    const text = (files[file] ?? []).join('');
    parts.push(`M 100644 inline folder-${file % 25}/file-${file}.txt\ndata ${text.length}\n${text}\n`);
  };
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const message = `Commit ${commit}`;
    parts.push(
      `commit refs/heads/main\ncommitter bench <bench@bench.invalid> ${1_600_000_000 + commit * 3600} +0000\n`,
      `data ${message.length}\n${message}\n`,
    );
    if (commit === 0) {
      const dockerfile = 'FROM scratch\nCOPY . /\n';
      parts.push(`M 100644 inline Dockerfile\ndata ${dockerfile.length}\n${dockerfile}\n`);
      for (let file = 0; file < FILES; file += 1) put(file);
    }
    for (const step of [7, 61, 173]) {
      const file = (commit * step + step) % FILES;
      const line = (commit * 31) % LINES;
      (files[file] ?? [])[line] = lineOf(file, line, commit);
      put(file);
    }
  }
  return parts.join('');
}

/** A line of text that says something else in each commit. */
function lineOf(file: number, line: number, commit: number): string {
  return `${file}.${line} was last changed by commit ${commit}: ${Math.sin(file * 7919 + line * 104_729 + commit).toString(36)}\n`;
}
