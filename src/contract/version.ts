import packageFile from '../../package.json' with { type: 'json' };

/** Of the package, and so of each of its programs. */
export const { version } = packageFile;
