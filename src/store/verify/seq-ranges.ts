/** A set of seqs that are added in ascending order, as ranges. */
export class SeqRanges {
  readonly #ranges: { readonly first: number; last: number }[] = [];

  add(seq: number): void {
    const range = this.#ranges.at(-1);
    if (range?.last === seq - 1) range.last = seq;
    else this.#ranges.push({ first: seq, last: seq });
  }

  has(seq: number): boolean {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle]?.last ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    const range = this.#ranges[low];
    return range !== undefined && range.first <= seq;
  }
}
