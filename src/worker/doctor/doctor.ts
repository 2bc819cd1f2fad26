import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import { makeFolders } from '../../contract/folders.ts';
import { proxiesOf } from '../../contract/network/settings.ts';
import { reasonOf } from '../../contract/reason.ts';
import { REGISTRATION_REALM } from '../../contract/uris.ts';
import { systemClock } from '../clock.ts';
import { endpointOf, ticketOf, tlsPathsOf, workDirOf, workerIdOf, type WorkerSettings } from '../config.ts';
import { EngineError, type EngineDescription, type Engine } from '../engine/engine.ts';
import type { EngineStorage } from '../engine/storage.ts';
import { DESCRIBE_WITHIN_MS, DOCTOR_DISK_BYTES, DOCTOR_WITHIN_MS } from '../limits.ts';
import { joinRealm } from '../link/session.ts';
import { readTlsOptions } from '../link/tls.ts';
import { openTransport } from '../link/transport.ts';
import type { Advice } from './advice.ts';
import { examineEngineDisk } from './disk-findings.ts';
import { examineAbilities } from './engine-findings.ts';
import { bad, good, warning, type Finding } from './finding.ts';

const GIB = 1024 ** 3;
const execFileAsync = promisify(execFile);

/** Looks, one after the other, at all that a worker with these settings needs, and changes nothing. */
export async function* examine(
  settings: WorkerSettings,
  engine: Engine,
  storage: EngineStorage,
  registry: string | undefined,
  advice: Advice,
): AsyncGenerator<Finding> {
  yield* examineEngine(settings, engine, storage, advice);
  yield await examineDisk(workDirOf(settings), advice);
  yield await examineManager(settings, advice);
  yield await examineProgram('git', ['--version'], 'builds of a git commit need it: install git');
  yield await examineProgram('ssh', ['-V'], 'commits fetched over ssh need it: install openssh-client');
  if (registry !== undefined) yield await examineRegistry(registry, advice);
}

async function* examineEngine(
  settings: WorkerSettings,
  engine: Engine,
  storage: EngineStorage,
  advice: Advice,
): AsyncGenerator<Finding> {
  try {
    const description = await engine.describe(AbortSignal.timeout(DESCRIBE_WITHIN_MS));
    yield judgeBuilder(description);
    const facts = await storage.facts(AbortSignal.timeout(DESCRIBE_WITHIN_MS));
    yield* examineAbilities(description, facts, settings.DOCKER_HOST);
    if (settings.REALM !== null) return;
    yield* examineEngineDisk({
      storage,
      facts,
      dockerHost: settings.DOCKER_HOST,
      directory: join(workDirOf(settings), workerIdOf(settings)),
      budget: settings.DISK_BUDGET,
      engineIsOurs: settings.ENGINE_IS_OURS === 'yes',
    });
  } catch (error) {
    const isLacking = error instanceof EngineError && error.kind === 'lacking';
    yield bad(`engine: ${reasonOf(error)}`, isLacking ? NO_BUILDKIT : advice.engine);
  }
}

const NO_BUILDKIT =
  'no build can run: set BUILDER=auto or BUILDER=classic, or give it an engine with BuildKit (Docker from 18.09 on) by DOCKER_HOST';

function judgeBuilder({ name, version, builder }: EngineDescription): Finding {
  const what = `engine: ${name} ${version}, builds with ${builder}`;
  if (builder === 'buildkit') return good(what);
  return warning(
    what,
    'it has no BuildKit, or BUILDER asks for none: cache and secret mounts do not work, and every build sends its whole context',
  );
}

async function examineDisk(directory: string, advice: Advice): Promise<Finding> {
  try {
    await makeFolders(directory);
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    const what = `disk: ${(free / GIB).toFixed(1)} GiB are free at ${directory}`;
    return free >= DOCTOR_DISK_BYTES ? good(what) : warning(what, advice.fullDisk);
  } catch (error) {
    return bad(`disk: ${reasonOf(error)}`, advice.workDirectory);
  }
}

/** Joins the registration realm and leaves it, which leaves no trace. */
async function examineManager(settings: WorkerSettings, advice: Advice): Promise<Finding> {
  const endpoint = endpointOf(settings);
  const where = `manager: ${endpoint.origin}${endpoint.pathname}`;
  try {
    const signal = AbortSignal.timeout(DOCTOR_WITHIN_MS);
    const transport = await openTransport(
      endpoint,
      readTlsOptions(tlsPathsOf(settings)),
      systemClock,
      signal,
      { proxies: proxiesOf(settings) },
    );
    try {
      if (settings.REALM !== null) return good(`${where} answers`);
      const session = await joinRealm(transport, REGISTRATION_REALM, null, systemClock, ticketOf(settings));
      await session.leave('wamp.close.normal');
      return good(`${where} answers, and lets enterprise workers in`);
    } finally {
      transport.end();
    }
  } catch (error) {
    return bad(`${where}: ${reasonOf(error)}`, advice.manager);
  }
}

async function examineProgram(program: string, args: readonly string[], advice: string): Promise<Finding> {
  try {
    const { stdout, stderr } = await execFileAsync(program, args, { timeout: DOCTOR_WITHIN_MS });
    return good(`${program}: ${(stdout || stderr).trim().split('\n')[0] ?? ''}`);
  } catch {
    return bad(`${program}: it cannot be started`, advice);
  }
}

/** Asks the registry's base endpoint (OCI distribution specification, "end-1"): 401 is an answer too. */
async function examineRegistry(host: string, advice: Advice): Promise<Finding> {
  let reason = '';
  for (const scheme of ['https', 'http']) {
    try {
      const answer = await request(`${scheme}://${host}/v2/`, {
        signal: AbortSignal.timeout(DOCTOR_WITHIN_MS),
      });
      await answer.body.dump();
      const what = `registry: ${scheme}://${host} answers ${answer.statusCode}`;
      if (answer.statusCode !== 200 && answer.statusCode !== 401) continue;
      return scheme === 'https'
        ? good(what)
        : warning(what, 'it speaks http: the engine must list it as insecure, unless it is on the loopback');
    } catch (error) {
      reason ||= reasonOf(error);
    }
  }
  return bad(`registry: ${host}: ${reason || 'it is no registry'}`, advice.registry);
}
