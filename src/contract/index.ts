/** The contract of worker and manager, as the package shows it to others (`quay-builder/contract`): docs/worker-contract.md, docs/extensions.md. */
export * from './build-arguments.ts';
export * from './build-errors.ts';
export * from './extensions.ts';
export * from './log-messages.ts';
export * from './phases.ts';
export * from './uris.ts';
