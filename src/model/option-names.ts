/** The names of an options type: a list that lacks one, or has another, does not compile. */
export type OptionNames<Options> = { readonly [Name in keyof Required<Options>]: true };

/**
 * Refuses a name that `known` lacks: what nobody reads would be ignored silently. Refuses a known
 * name that is inherited or not enumerable too: a copy of the object would lose it. `what` is what
 * the object has, in the singular.
 * @throws {TypeError} naming it, and the nearest known name or all of them
 */
export function refuseUnknown<Options>(options: Options, known: OptionNames<Options>, what = 'option'): void {
  const given = Object(options) as object;
  for (const name of Object.keys(known)) {
    if (!(name in given) || Object.prototype.propertyIsEnumerable.call(given, name)) continue;
    throw new TypeError(`the ${what} ${name} is inherited or not enumerable: pass an object that has it itself`);
  }
  // Inherited names too. What a program added to every object is no option of this call.
  for (const name in given) {
    if (Object.hasOwn(known, name) || (name in Object.prototype && !Object.hasOwn(given, name))) continue;
    const names = Object.keys(known);
    const nearest = names.find((each) => isNear(each, name));
    const advice = nearest === undefined ? `known are ${names.join(', ')}` : `did you mean ${nearest}?`;
    throw new TypeError(`unknown ${what} ${name.slice(0, 100)}: ${advice}`);
  }
}

/** Mistakes that a name may have to be taken for another. */
const MAX_MISTAKES = 2;

function isNear(known: string, name: string): boolean {
  if (Math.abs(known.length - name.length) > MAX_MISTAKES) return false;
  const [one, other] = [known.toLowerCase(), name.toLowerCase()];
  return distance(one, other) <= Math.min(MAX_MISTAKES, Math.floor(known.length / 3));
}

/** Returns how many characters to add, remove or replace to turn one text into the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const kept = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(kept, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
