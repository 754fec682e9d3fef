/** What `within` resolves with when there is no answer in time. */
export const LATE = Symbol('late');

/** Resolves with the answer, or with LATE after `ms`: it may still come, or fail without harm. */
export async function within<Answer>(ms: number, answer: Promise<Answer>): Promise<Answer | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), ms).unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
