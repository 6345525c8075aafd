/** The candidate that was probably meant, or undefined when none is near: at most one slip in three letters. */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, slips: editDistance(typed, candidate) }))
    .sort((left, right) => left.slips - right.slips);
  const best = ranked[0];
  if (best === undefined || best.slips > Math.max(1, Math.floor(typed.length / 3)))
    return undefined;
  return best.candidate;
}

/** Optimal string alignment: a swap of neighbours is one slip. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, 64);
  const b = right.slice(0, 64);
  let older: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (older[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    older = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
