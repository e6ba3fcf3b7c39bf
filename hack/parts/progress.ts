/** One line of progress on standard error. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Seconds since `start` (of performance.now()) to one decimal: `6.2 s`. */
export function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** Says what is being done and how long it took; of something long also that it goes on. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  say(`${what} …`);
  const ticker = setInterval(() => {
    say(`  … still at it, ${since(start)}`);
  }, 30_000);
  try {
    const result = await work();
    say(`  done in ${since(start)}`);
    return result;
  } finally {
    clearInterval(ticker);
  }
}
