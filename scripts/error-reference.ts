import { readFile, writeFile } from 'node:fs/promises';
import { buildErrorKinds } from '../src/contract/build-errors.ts';
import { problemKinds } from '../src/manager/http/problems.ts';

/** Writes docs/errors.md from the catalogues of errors; with `--check`, fails when it is not up to date. */

const file = new URL('../docs/errors.md', import.meta.url);

const cell = (text: string): string => text.replaceAll('|', '\\|');
const row = (...cells: string[]): string => `| ${cells.map(cell).join(' | ')} |`;

const builds = Object.entries(buildErrorKinds).map(([code, { internal, message, help }]) =>
  row(`\`${code}\``, message, help, internal ? 'yes' : 'no'),
);
const problems = Object.entries(problemKinds).map(([code, { status, message, help }]) =>
  row(`\`${code}\``, String(status), message, help),
);

const text = `# Errors

Every error that you can meet has a code, says what happened and what to do about it. This page is generated from the catalogues
(\`node scripts/error-reference.ts\`).

## How a build fails

\`error\` of a build and of each of its tries: \`{code, message, help, base_error}\`. \`base_error\` has the failing part's own words,
with secrets masked. An internal error is not the user's fault: the build is tried again while it has tries (three, unless it says otherwise), and ends as
\`internalerror\` when it still fails; any other ends the build as \`error\`. A pull or a push that the registry refuses (*not found*,
*denied*) is never tried again.

| code | what happened | what to do | internal |
| --- | --- | --- | --- |
${builds.join('\n')}

## How the HTTP API refuses

Every refusal is JSON: \`{code, message, help}\`, and \`details\` (a list of \`{path, message}\`) where parts of the request are wrong.
What was in the request is never repeated. The token server (\`/registry/token\`) answers as registries do.

| code | status | what happened | what to do |
| --- | --- | --- | --- |
${problems.join('\n')}

## Exit codes

Each program says by its exit code how it ended: [\`quay-build\`](cli.md#exit-codes), [\`quay-builder\`](worker.md#exit-codes),
[\`quay-build-manager\`](operating.md#exit-codes).
`;

if (!process.argv.includes('--check')) await writeFile(file, text);
else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
  console.error('docs/errors.md is not what the catalogues say: run node scripts/error-reference.ts');
  process.exitCode = 1;
}
