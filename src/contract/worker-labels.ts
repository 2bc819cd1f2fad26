import { z } from 'zod';

/**
 * Labels of workers, and what builds ask of them. A worker says `NAME=VALUE`; a value may name several with `|` between them, or be `*`
 * for any; a name that begins with `!` keeps the worker for builds that ask for it. A build asks for
 *
 * - `NAME=VALUE`: the worker has this label, with one of these values (`|` between them);
 * - `NAME=*`: it has the label, whatever the value;
 * - `NAME!=VALUE`: it has not this label with one of these values;
 * - `!NAME`: it has no such label.
 */

const LABELS_MAX = 32;

const NAME = String.raw`[A-Za-z0-9][\w.-]{0,62}`;
const VALUE = String.raw`[\w./:@+-]{0,63}(?:\|[\w./:@+-]{1,63}){0,7}`;
const LABEL_NAME = new RegExp(`^!?${NAME}$`);
const LABEL_VALUE = new RegExp(String.raw`^(?:\*|${VALUE})$`);
const SELECTOR = new RegExp(String.raw`^(?:!${NAME}|${NAME}=(?:\*|${VALUE})|${NAME}!=${VALUE})$`);

/** What a worker says of itself, by name. */
export const workerLabelsSchema = z
  .record(
    z.string().regex(LABEL_NAME, 'must be a name of letters, digits, dots, dashes and _, after a ! or none'),
    z
      .string()
      .regex(LABEL_VALUE, 'must be *, or values of letters, digits and . / : @ + - _, with | between them'),
  )
  .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `must be at most ${LABELS_MAX} labels`);

/** What a build asks for. */
export const workerSelectorsSchema = z
  .array(z.string().regex(SELECTOR, 'must be NAME=VALUE, NAME=*, NAME!=VALUE or !NAME'))
  .max(LABELS_MAX, `must be at most ${LABELS_MAX} labels`);
