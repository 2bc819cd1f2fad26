import type { z } from 'zod';
import { DETAIL_MAX_LENGTH, DETAILS_MAX } from './limits.ts';
import { ApiProblem } from './problems.ts';

interface WrongPart {
  /** Where it is, from the whole to the part: `body`, `tag_names`, `1`. */
  readonly path: readonly string[];
  /** The rule that it breaks. */
  readonly message: string;
}

/** Names each wrong part of a request. What was in it is not repeated: it may be a secret. */
export function validationProblem(parts: readonly WrongPart[]): ApiProblem {
  const details = parts.slice(0, DETAILS_MAX).map(({ path, message }) => ({
    path: path.join('.').slice(0, DETAIL_MAX_LENGTH),
    message: message.slice(0, DETAIL_MAX_LENGTH),
  }));
  return new ApiProblem('request_invalid', { details });
}

/** The same for what zod found in `where`. */
export function issuesProblem(issues: readonly z.core.$ZodIssue[], where: string): ApiProblem {
  return validationProblem(
    issues.map(({ path, message }) => ({ path: [where, ...path.map(String)], message })),
  );
}
