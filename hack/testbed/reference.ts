import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { root } from './lab.ts';

/** The state document of the original's cluster of three agents. */
export const reference = join(root, 'test', 'reference', 'state.json');

/**
 * Fetches the state document. If the lab equals the reference cluster, compares the documents and throws if they
 * differ.
 */
export async function compareState(url: string, sameLab: boolean): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  const state: unknown = await response.json();
  if (!sameLab) return;
  const expected: unknown = JSON.parse(readFileSync(reference, 'utf8'));
  if (!isDeepStrictEqual(state, expected)) {
    throw new Error(`${url} differs from test/reference/state.json:\n${JSON.stringify(state, null, 2)}`);
  }
  process.stdout.write('The state document equals test/reference/state.json.\n');
}
