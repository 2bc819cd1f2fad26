import { isRepository, namespaceOf } from '../../contract/references.ts';
import type { ApiScope } from '../http/api-tokens.ts';
import { SCOPE_MAX_CHARACTERS, SCOPES_MAX } from '../limits.ts';

/**
 * What a registry's client asks for, and what a capability allows, in the registry's own words
 * (Docker Registry v2 token scope: `repository:NAME:ACTION,…`). In what is allowed, `NAMESPACE/*` is each repository of a namespace, and `*` every repository.
 */

type RegistryAction = 'pull' | 'push';

/** One entry of a token's `access` claim. */
export interface AccessEntry {
  readonly type: 'repository';
  readonly name: string;
  readonly actions: readonly RegistryAction[];
}

/** A name may hold colons (a host's port), so the actions come after the last one. A class, as in `repository(plugin)`, is refused. */
const SCOPE = /^repository:(.+):([a-z*,]+)$/;
const EVERY = '/*';
const EVERYWHERE = '*';

/** The scope that gives access to a build's package. */
export const PACKAGE_SCOPE = 'package';

/** What a try may push to: its own repository; and pull from, for mounting layers: all that it may pull. */
export function pushScopes(repository: string, readable: readonly string[]): string[] {
  return [`repository:${repository}:pull,push`, ...pullScopes(repository, readable)];
}

/** What a try may do at a further registry: push to these of its own namespace (`push_to`), and pull all that it may pull. */
export function furtherScopes(
  repository: string,
  further: readonly string[],
  readable: readonly string[],
): string[] {
  const own = further.filter((each) => namespaceOf(each) === namespaceOf(repository));
  return [...own.map((each) => `repository:${each}:pull,push`), ...pullScopes(repository, readable)];
}

/** What a build of this repository may pull: whatever lies in its namespace, and what else that may read. */
export function pullScopes(repository: string, readable: readonly string[]): string[] {
  const patterns = new Set([everyOf(namespaceOf(repository)), ...readable]);
  return [...patterns].map((pattern) => `repository:${pattern}:pull`);
}

/** Each repository of a namespace. */
export function everyOf(namespace: string): string {
  return namespace + EVERY;
}

/** What a user of the API may do with `docker login`: who may submit builds can push anywhere through them anyway. */
export function userScopes(scopes: readonly ApiScope[]): string[] {
  const mayWrite = scopes.includes('write') || scopes.includes('admin');
  const mayRead = mayWrite || scopes.includes('read');
  return mayRead ? [`repository:${EVERYWHERE}:${mayWrite ? 'pull,push' : 'pull'}`] : [];
}

/**
 * The part of what is asked that the allowed scopes give: never more, in the order asked. What cannot be read is left out, as
 * the token specification wants ("the token server should return a token with the subset").
 */
export function grantedAccess(asked: readonly string[], allowed: readonly string[]): AccessEntry[] {
  const rules = allowed.map(parseScope).filter((rule) => rule !== null);
  const granted = new Map<string, RegistryAction[]>();
  const wanted = asked.flatMap((text) => text.split(' ')).filter((text) => text !== '');
  for (const scope of wanted.slice(0, SCOPES_MAX)) {
    const parsed = parseScope(scope);
    if (parsed === null || !isRepository(parsed.name)) continue;
    const actions = parsed.actions.filter((action) =>
      rules.some((rule) => rule.actions.includes(action) && covers(rule.name, parsed.name)),
    );
    if (actions.length > 0) {
      granted.set(parsed.name, [...new Set([...(granted.get(parsed.name) ?? []), ...actions])]);
    }
  }
  return [...granted].map(([name, actions]) => ({ type: 'repository', name, actions }));
}

function parseScope(text: string): { name: string; actions: RegistryAction[] } | null {
  const match = text.length <= SCOPE_MAX_CHARACTERS ? SCOPE.exec(text) : null;
  if (!match) return null;
  const [, name = '', actions = ''] = match;
  return {
    name,
    actions: actions.split(',').filter((action) => action === 'pull' || action === 'push'),
  };
}

function covers(rule: string, repository: string): boolean {
  if (rule === EVERYWHERE) return true;
  return rule.endsWith(EVERY)
    ? namespaceOf(repository) === rule.slice(0, -EVERY.length)
    : rule === repository;
}
