import { DatabaseAway } from './errors.ts';

interface Asked<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export interface GatherOptions<Question, Answer> {
  /** Answers questions, each in its place. */
  readonly ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  /** How many are asked together at most; the others wait for the next time. */
  readonly most: number;
  /** Of questions with one key, the first is asked, and the next the next time. They may all be asked together when it is absent. */
  readonly keyOf?: (question: Question) => string;
}

/**
 * Asks the first question at once, and together what is asked until its answer is there: a statement for many costs little more than one
 * for one, above all where it commits. Where one question makes the statement fail, it fails alone.
 */
export function gather<Question, Answer>({
  ask,
  most,
  keyOf,
}: GatherOptions<Question, Answer>): (question: Question) => Promise<Answer> {
  let waiting: Asked<Question, Answer>[] = [];
  let asking = false;

  const next = (): Asked<Question, Answer>[] => {
    const taken: Asked<Question, Answer>[] = [];
    const left: Asked<Question, Answer>[] = [];
    const keys = new Set<string>();
    for (const each of waiting) {
      const key = keyOf?.(each.question);
      if (taken.length >= most || (key !== undefined && keys.has(key))) left.push(each);
      else taken.push(each);
      if (key !== undefined) keys.add(key);
    }
    waiting = left;
    return taken;
  };

  const answerAll = async (asked: readonly Asked<Question, Answer>[]): Promise<void> => {
    try {
      const answers = await ask(asked.map(({ question }) => question));
      for (const [place, { resolve, reject }] of asked.entries()) {
        const answer = answers[place];
        if (answer === undefined) reject(new Error('a question asked with others has no answer'));
        else resolve(answer);
      }
    } catch (error) {
      if (asked.length === 1 || error instanceof DatabaseAway) for (const { reject } of asked) reject(error);
      else for (const each of asked) await answerAll([each]);
    }
  };

  const work = async (): Promise<void> => {
    asking = true;
    while (waiting.length > 0) await answerAll(next());
    asking = false;
  };

  return (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ question, resolve, reject });
      if (!asking) void work();
    });
}
