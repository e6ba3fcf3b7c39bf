import { isText, parsed } from './nodecontainers.ts';
import { kernelKinds, type KernelRow, type NodeKernel } from './row.ts';
import type { Entry } from './entry.ts';

/** Of one node; of more the rest is left out, and said. */
const mostDifferences = 1_000;
/** Of a rule's text, which may be long. */
const mostText = 4_096;

/**
 * What an agent answered, as rows of its node. A node that was broken into may answer anything: what is not as it should
 * be does not come through, and no row is of another node.
 * @throws Error saying what of it cannot be understood
 */
export function readNodeKernel(body: string, node: string): { rows: KernelRow[]; problems: string[] } {
  const value = parsed(body) as { [K in keyof NodeKernel]?: unknown } | null;
  if (typeof value !== 'object' || value === null || !Array.isArray(value.differences))
    throw new Error('its answer has no list of differences');
  const list = value.differences as unknown[];
  const rows = list.slice(0, mostDifferences).map((one, at) => rowOf(one, node, at));
  const said = Array.isArray(value.problems) ? (value.problems as unknown[]).slice(0, 10).filter(isText) : [];
  const counted = typeof value.left === 'number' && value.left > 0 ? Math.floor(value.left) : 0;
  const left = list.length - rows.length + counted;
  return { rows, problems: [...said, ...(left > 0 ? [`${left} more differences were left out`] : [])] };
}

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
