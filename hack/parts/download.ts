import { messageOf } from '../../src/error.ts';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

/** Returns false if the user, or a test, allows package registries only. */
export function downloadsAllowed(): boolean {
  return process.env.OVERLAYNET_DOWNLOAD !== 'never';
}

async function get(url: string, timeoutMs: number): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`${url}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Finds a file's SHA-256 in published text: the bare sum, or lines of `sum  name`.
 * Throws if the file is not among them.
 */
export function publishedSum(text: string, name: string): string {
  const bare = /^\s*([0-9a-f]{64})\s*$/i.exec(text);
  const line = text.split('\n').find((one) => one.trim().split(/\s+\*?/)[1] === name);
  const sum = bare?.[1] ?? line?.trim().split(/\s+/)[0];
  if (sum === undefined || !/^[0-9a-f]{64}$/i.test(sum))
    throw new Error(`no SHA-256 of ${name} is published`);
  return sum.toLowerCase();
}

/**
 * Downloads `url` to the file `to` and compares it with the SHA-256 published at `sums`.
 * Fetches the sum first, with a short time-out, so that an unreachable host shows at once.
 */
export async function download(url: string, sums: string, to: string): Promise<void> {
  const name = url.slice(url.lastIndexOf('/') + 1);
  const sum = publishedSum((await get(sums, 5_000)).toString(), name);
  const body = await get(url, 300_000);
  const actual = createHash('sha256').update(body).digest('hex');
  if (actual !== sum) throw new Error(`${url}: SHA-256 is ${actual}, published is ${sum}`);
  await writeFile(to, body);
}
