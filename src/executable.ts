import { getAsset } from 'node:sea';
import { traceToSource } from './stack-traces.ts';

/** What a single executable loads before its program: all of both is the one script `main.js`, whose map lies beside it in the file. */

traceToSource((script) =>
  script === 'main.js' ? { folder: '', readMap: () => getAsset('main.js.map', 'utf8') } : null,
);
