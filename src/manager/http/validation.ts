import type { z } from 'zod';
import { DETAIL_MAX_LENGTH, DETAILS_MAX } from './limits.ts';
import { ApiProblem } from './problems.ts';

/** Names each wrong part of a request. What was in it is not repeated: it may be a secret. */
export function validationProblem(issues: readonly z.core.$ZodIssue[], where: string): ApiProblem {
  const details = issues.slice(0, DETAILS_MAX).map(({ path, message }) => ({
    path: [where, ...path].map(String).join('.').slice(0, DETAIL_MAX_LENGTH),
    message: message.slice(0, DETAIL_MAX_LENGTH),
  }));
  return new ApiProblem('request_invalid', { details });
}
