import { dirname, join } from 'node:path';
import ts from 'typescript';
import { KINDS, nameOf, type KubernetesObject } from './objects.ts';

/**
 * What the published schemas of Kubernetes say against objects, a sentence each: values by the schemas themselves, and fields that there
 * are not, which the schemas let pass, by the types that are made of them.
 */
export function schemaFaults(objects: readonly KubernetesObject[]): string[] {
  return [...objects.flatMap(valueFaults), ...fieldFaults(objects)];
}

function kindOf({ apiVersion, kind }: KubernetesObject) {
  return KINDS.find((each) => each.apiVersion === apiVersion && each.kind === kind);
}

function valueFaults(object: KubernetesObject): string[] {
  const Kind = kindOf(object);
  if (!Kind) return [`${nameOf(object)}: there is no schema of ${object.apiVersion} ${object.kind}`];
  try {
    Kind.prototype.validate.call(object);
    return [];
  } catch (error) {
    return [`${nameOf(object)}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Where the compiler looks for the types from; there is no such file. */
const FILE = join(import.meta.dirname, 'manifests.generated.ts');

/** The types and the language's own, read once. */
const sources = new Map<string, ts.SourceFile | undefined>();

/** An object literal with a field that its type does not have is an error of TypeScript. */
function fieldFaults(objects: readonly KubernetesObject[]): string[] {
  const known = objects.filter(kindOf);
  const lines = known.map(
    (object) =>
      `(${JSON.stringify(object)} satisfies import('kubernetes-models/${object.apiVersion}').I${object.kind});`,
  );
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2024,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const fromDisk = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => {
    if (name === FILE) return ts.createSourceFile(name, lines.join('\n'), ts.ScriptTarget.ES2024);
    if (!sources.has(name)) sources.set(name, fromDisk(name, ...rest));
    return sources.get(name);
  };
  host.fileExists = (name) => name === FILE || ts.sys.fileExists(name);
  host.getCurrentDirectory = () => dirname(FILE);
  const program = ts.createProgram([FILE], options, host);
  return ts.getPreEmitDiagnostics(program).map((each) => {
    const line = each.file?.getLineAndCharacterOfPosition(each.start ?? 0).line ?? 0;
    const object = known[line];
    return `${object ? nameOf(object) : 'the types'}: ${ts.flattenDiagnosticMessageText(each.messageText, ' ')}`;
  });
}
