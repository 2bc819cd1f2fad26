import { z } from 'zod';

/** How lists are read a page at a time. */

/** What a cursor must be. */
export const CURSOR_RULE = "must be the next_cursor of this list's last answer, unchanged";

/** Where the next page of a list begins that is ordered by number: after the entry with this one. */
export const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/, CURSOR_RULE)
  .optional()
  .meta({ description: "The last answer's next_cursor." });
