import { isText, parsed, readNodeRows } from './nodeanswer.ts';
import { kernelKinds, type KernelRow } from './row.ts';
import type { Entry } from './entry.ts';

/** Maximum for one node; further ones are left out and counted. */
const mostDifferences = 1_000;
/** Maximum length of a text; a rule may be long. */
const mostText = 4_096;

/**
 * Reads an agent's list of differences as rows of its node.
 * @throws Error that says which part is invalid
 */
export const readNodeKernel = (body: string, node: string): { rows: KernelRow[]; problems: string[] } =>
  readNodeRows(
    parsed(body),
    'differences',
    mostDifferences,
    (one, at) => rowOf(one, node, at),
    ({ left }) => (typeof left === 'number' && left > 0 ? Math.floor(left) : 0),
  );

function rowOf(value: unknown, node: string, at: number): KernelRow {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as {
    [K in keyof KernelRow]?: unknown;
  };
  const wrong = (field: string) =>
    new Error(`its difference ${at + 1} has no ${field} that can be understood`);
  const { is, object, message, network } = raw;
  if (is !== 'Missing' && is !== 'Wrong' && is !== 'Foreign') throw wrong('is');
  const kind = kernelKinds.find((one) => one === raw.kind);
  if (kind === undefined) throw wrong('kind');
  if (typeof object !== 'string' || object.length > mostText) throw wrong('object');
  if (typeof message !== 'string' || message.length > mostText) throw wrong('message');
  if (network !== undefined && !isText(network)) throw wrong('network');
  return { node, is, kind, object, ...(network === undefined ? {} : { network }), message };
}

export function kernelEntries(rows: readonly KernelRow[]): Entry<KernelRow>[] {
  return rows.map((row) => {
    const { node, is, kind, object, network, message } = row;
    return {
      row,
      key: [node, kind, object, is, message].join('\n'),
      isOf: { network: (name) => name === network, node: (name) => name === node },
      words: () => [node, is, kind, object, message],
      ranges: () =>
        object.split(' ').filter((word) => /^[0-9a-f.:]+(\/\d+)?$/.test(word) && /[.:]/.test(word)),
    };
  });
}
