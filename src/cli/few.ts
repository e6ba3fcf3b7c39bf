import PQueue from 'p-queue';

/**
 * Runs `task` for every item, the first items first and `atOnce` at the same time. Rejects with the first error, after
 * which no further task starts.
 * @returns the results in the order of the items
 */
export function fewAtOnce<T, R>(
  items: readonly T[],
  atOnce: number,
  task: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const queue = new PQueue({ concurrency: atOnce });
  const one = async (item: T, at: number): Promise<R> => {
    try {
      return await task(item, at);
    } catch (error) {
      // clear() would reject the waiting ones with an error of its own, before this one
      queue.pause();
      throw error;
    }
  };
  return queue.addAll(items.map((item, at) => () => one(item, at)));
}
