import { expect, test } from 'vitest';
import { DatabaseAway } from '../../src/store/errors.ts';
import { gather } from '../../src/store/gather.ts';

/** Questions are asked of the test, which answers when it likes. */
function asked(options: { most?: number; keyOf?: (question: string) => string } = {}) {
  const rounds: {
    questions: readonly string[];
    answer: (answers: string[]) => void;
    fail: (e: Error) => void;
  }[] = [];
  const question = gather<string, string>({
    most: 10,
    ...options,
    ask: (questions) =>
      new Promise((resolve, reject) => {
        rounds.push({ questions, answer: resolve, fail: reject });
      }),
  });
  const round = async (number: number) => {
    await expect.poll(() => rounds.length).toBeGreaterThan(number);
    return rounds[number] ?? expect.fail();
  };
  return { question, round };
}

test('the first question is asked at once, and those that come meanwhile together', async () => {
  const { question, round } = asked();
  const answers = Promise.all(['a', 'b', 'c'].map(question));
  expect((await round(0)).questions).toEqual(['a']);
  (await round(0)).answer(['A']);
  expect((await round(1)).questions).toEqual(['b', 'c']);
  (await round(1)).answer(['B', 'C']);
  expect(await answers).toEqual(['A', 'B', 'C']);
  const later = question('d');
  expect((await round(2)).questions).toEqual(['d']);
  (await round(2)).answer(['D']);
  expect(await later).toBe('D');
});

test('no more are asked together than may be, and of a key one at a time, in order', async () => {
  const { question, round } = asked({ most: 2, keyOf: (text) => text[0] ?? '' });
  const answers = Promise.all(['x', 'a1', 'a2', 'b1', 'c1'].map(question));
  for (const [number, expected] of [['x'], ['a1', 'b1'], ['a2', 'c1']].entries()) {
    expect((await round(number)).questions).toEqual(expected);
    (await round(number)).answer(expected);
  }
  expect(await answers).toEqual(['x', 'a1', 'a2', 'b1', 'c1']);
});

test('a question that makes the statement fail fails alone', async () => {
  const { question, round } = asked();
  const first = question('first');
  const answers = Promise.allSettled(['good', 'bad', 'fine'].map(question));
  (await round(0)).answer(['1']);
  await first;
  (await round(1)).fail(new Error('invalid'));
  for (const [number, text] of ['good', 'bad', 'fine'].entries()) {
    const { questions, answer, fail } = await round(2 + number);
    expect(questions).toEqual([text]);
    if (text === 'bad') fail(new Error('invalid'));
    else answer([text]);
  }
  expect((await answers).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('while the database is away, all that were asked together are told so', async () => {
  const { question, round } = asked();
  const first = question('first');
  const answers = Promise.allSettled(['a', 'b'].map(question));
  (await round(0)).answer(['1']);
  await first;
  (await round(1)).fail(new DatabaseAway('gone'));
  expect((await answers).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
