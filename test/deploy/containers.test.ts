import { afterAll, beforeAll } from 'vitest';
import { startEngine, type LabEngine } from '../../lab/engine.ts';
import { makeManagerImage, makeWorkerImage, WORKER_IMAGE } from '../../lab/images.ts';
import { importStandIns } from '../../lab/stand-ins.ts';
import { composeSuite } from './compose-suite.ts';
import { managerImageSuite } from './manager-image-suite.ts';

/** The manager's image, alone and with all that `deploy/compose.yaml` puts beside it, on one engine: images take longest. */

const SET_UP_MS = 600_000;

let engine: LabEngine;
beforeAll(async () => {
  engine = await startEngine();
  await Promise.all([
    makeManagerImage(engine),
    makeWorkerImage(engine, WORKER_IMAGE),
    importStandIns(engine, ['docker.io/library/postgres:17', 'docker.io/library/registry:2']),
  ]);
}, SET_UP_MS);
afterAll(() => engine.stop());

managerImageSuite(() => engine);
composeSuite(() => engine);
