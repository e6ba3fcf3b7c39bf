/** Prints one line of progress on standard error. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Returns the seconds since `start` (of performance.now()) with one decimal: `6.2 s`. */
export function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** Prints a step before it starts and its duration after it. A long step also reports that it is still running. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  say(`${what} …`);
  const ticker = setInterval(() => {
    say(`  … still running, ${since(start)}`);
  }, 30_000);
  try {
    const result = await work();
    say(`  done in ${since(start)}`);
    return result;
  } finally {
    clearInterval(ticker);
  }
}
