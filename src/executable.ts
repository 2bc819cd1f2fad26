import { getAsset } from 'node:sea';
import { traceToSource } from './stack-traces.ts';

/**
 * What a program that is one executable file loads first: it has stack traces name the lines of `src`. This code and the program's are
 * bundled into one script, `main.js`, whose source map is an asset of the same file.
 */

traceToSource((script) =>
  script === 'main.js' ? { folder: '', readMap: () => getAsset('main.js.map', 'utf8') } : null,
);
