/**
 * Imports go one way (docs/architecture.md): `contract` and `wamp` import nothing of ours, `store` only `contract`,
 * worker and manager never each other.
 */
const room = (name, allowed) => ({
  name: `${name}-imports`,
  comment: `src/${name} may import, of ours, only itself${allowed.length ? ` and ${allowed.join(', ')}` : ''}.`,
  severity: 'error',
  from: { path: `^src/${name}/` },
  to: {
    path: '^(src|lab|test|bench|faults|scripts)/',
    pathNot: [name, ...allowed].map((each) => `^src/${each}/`),
  },
});

/** The packages that work on the source, and are no part of it. */
const TOOLS = [
  '@eslint',
  'dependency-cruiser',
  'esbuild',
  'eslint',
  'fast-check',
  'knip',
  'postject',
  'prettier',
  'typescript',
  'typescript-eslint',
  'vitest',
];

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '[.]d[.]ts$' },
      to: {},
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-tools',
      comment: 'Programs are bundled with the packages that they import: all are npm-dev, so tools are told apart by name.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: `^node_modules/(${TOOLS.join('|')})/` },
    },
    room('contract', []),
    room('wamp', []),
    room('store', ['contract']),
    room('worker', ['contract']),
    room('entrypoint', ['contract']),
    room('manager', ['contract', 'wamp', 'store']),
    room('cli', ['contract']),
    room('ui', ['contract']),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
