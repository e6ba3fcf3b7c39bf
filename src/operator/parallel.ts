import PQueue from 'p-queue';

/** Requests under way at once: what an API server with few cores serves best, and far below its own limits. */
const concurrency = 20;

/**
 * Runs `task` for every item, the first items first. Rejects with the first error once all have ended.
 * @param gently fewer at once, so that our other requests do not queue behind them in the API server
 */
export async function inParallel<T>(
  items: readonly T[],
  task: (item: T) => Promise<void>,
  { gently = false } = {},
): Promise<void> {
  const queue = new PQueue({ concurrency: gently ? Math.ceil(concurrency / 4) : concurrency });
  const results = await Promise.allSettled(items.map((item) => queue.add(() => task(item))));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
