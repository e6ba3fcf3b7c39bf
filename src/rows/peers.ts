import type { Entry } from './entry.ts';
import { parsed, readNodeRows } from './nodeanswer.ts';
import { verdicts, type PeerRow } from './probe.ts';

/** Maximum for one node; further ones are left out and counted. */
const mostPeers = 10_000;
const mostText = 4_096;

/**
 * Reads an agent's list of peers as rows of its node.
 * @throws Error that says which part is invalid
 */
export const readNodePeers = (body: string, node: string): { rows: PeerRow[]; problems: string[] } =>
  readNodeRows(parsed(body), 'peers', mostPeers, (one, at) => rowOf(one, node, at));

function rowOf(value: unknown, node: string, at: number): PeerRow {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as {
    [K in keyof PeerRow]?: unknown;
  };
  const wrong = (field: string) => new Error(`its peer ${at + 1} has no ${field} that can be understood`);
  const text = (field: 'peer' | 'evidence' | 'remedy' | 'at' | 'since'): string => {
    const found = raw[field];
    if (typeof found !== 'string' || found.length > mostText) throw wrong(field);
    return found;
  };
  const ms = (field: 'underlayMs' | 'overlayMs') => {
    const found = raw[field];
    if (found === undefined) return {};
    if (typeof found !== 'number' || !(found >= 0)) throw wrong(field);
    return { [field]: found };
  };
  const is = (['OK', 'Wrong', 'Unknown', 'Unprobed'] as const).find((one) => one === raw.is);
  if (is === undefined) throw wrong('is');
  const verdict = verdicts.find((one) => one === raw.verdict);
  if ((raw.verdict !== undefined || is === 'Wrong') && verdict === undefined) throw wrong('verdict');
  return {
    node,
    peer: text('peer'),
    is,
    ...(verdict === undefined ? {} : { verdict }),
    evidence: text('evidence'),
    remedy: text('remedy'),
    at: text('at'),
    since: text('since'),
    ...ms('underlayMs'),
    ...ms('overlayMs'),
  };
}

export function peerEntries(rows: readonly PeerRow[]): Entry<PeerRow>[] {
  return rows.map((row) => {
    const { node, peer, is, verdict = '', evidence } = row;
    return {
      row,
      key: `${node}\n${peer}`,
      isOf: { network: () => false, node: (name) => name === node },
      words: () => [node, peer, is, verdict, evidence],
      ranges: () => [],
    };
  });
}
