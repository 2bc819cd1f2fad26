import { z } from 'zod';

/** A whole number between two bounds, both included; whatever breaks a rule is told all of them. `what` is said of it: ` of seconds`. */
export function wholeNumber(min: number, max: number, what = ''): z.ZodInt {
  const rule = `must be a whole number${what} from ${min} to ${max}`;
  return z.int(rule).min(min, rule).max(max, rule);
}
