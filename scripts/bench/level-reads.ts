/** Row by row: the first form in the documentation of `level`, which targets refer to. */
export const FOR_AWAIT = {
  name: 'level, for await',
  settings: 'for await over its iterator, keys and values as views: one of the two forms its documentation shows',
} as const;

/** Many rows per call: the other form, which can be faster; shown for information. */
export const NEXTV = {
  name: 'level, nextv(1,000)',
  settings: 'many rows with one call, keys and values as views: the other form, which can be faster',
} as const;
