import PQueue from 'p-queue';

/**
 * Does the work for each item, 16 at a time. A busy API server would take longer for hundreds of requests at once than
 * one request may take.
 */
export const fewAtOnce = <T, R>(
  items: readonly T[],
  work: (item: T, at: number) => Promise<R>,
): Promise<R[]> => new PQueue({ concurrency: 16 }).addAll(items.map((item, at) => () => work(item, at)));
