import { messageOf } from '../error.ts';
import type { KernelRow, Unanswered } from '../rows/row.ts';
import { CommandFailure } from './failure.ts';
import type { Output } from './output.ts';
import { coloured, harmless, harmlessJSON } from './text.ts';

/** One step in a chain of facts. */
export interface Step {
  what: string;
  /** `Unknown`: it could not be read. */
  is: 'OK' | 'Wrong' | 'Unknown';
  evidence: string;
  /** What to do, if the step is not OK. */
  next?: string;
}

/** The chain of facts about one object. Each fact depends on those before it. */
export interface Chain {
  /** `pod shop/web-0 on network dcos` */
  about: string;
  steps: Step[];
}

/** The value that was read, or the reason why it could not be read. */
export type Read<T> = { value: T } | { why: string };

export const ok = (what: string, evidence: string): Step => ({ what, is: 'OK', evidence });
export const wrong = (what: string, evidence: string, next: string): Step => ({
  what,
  is: 'Wrong',
  evidence,
  next,
});
export const unknown = (what: string, evidence: string, next: string): Step => ({
  what,
  is: 'Unknown',
  evidence,
  next,
});

/** Evaluates steps in order and ends at the first wrong one, because the steps after it depend on it. */
export function upToWrong(steps: Iterable<Step>): Step[] {
  const taken: Step[] = [];
  for (const step of steps) {
    taken.push(step);
    if (step.is === 'Wrong') break;
  }
  return taken;
}

/** The exit status. 0: every step of every chain is OK; 1: one is wrong; 2: none is wrong, but one could not be read. */
export function exitOf(chains: readonly Chain[]): number {
  const steps = chains.flatMap((chain) => chain.steps);
  if (steps.some(({ is }) => is === 'Wrong')) return 1;
  return steps.some(({ is }) => is === 'Unknown') ? 2 : 0;
}

const marks = {
  unicode: { OK: '✓', Wrong: '✗', Unknown: '?', next: '→' },
  ascii: { OK: 'ok   ', Wrong: 'WRONG', Unknown: '?    ', next: '->' },
};
const tones = { OK: 'good', Wrong: 'bad', Unknown: 'odd' } as const;

export function printChains(chains: readonly Chain[], output: 'json' | undefined, out: Output): void {
  if (output === 'json') {
    out.line(harmlessJSON({ chains }));
    return;
  }
  const mark = out.unicode ? marks.unicode : marks.ascii;
  chains.forEach(({ about, steps }, at) => {
    if (at > 0) out.line('');
    out.line(harmless(about));
    const width = Math.max(...steps.map(({ what }) => what.length));
    for (const { what, is, evidence, next } of steps) {
      const sign = out.colours ? coloured(mark[is], tones[is]) : mark[is];
      out.line(`  ${sign} ${what.padEnd(width)}  ${harmless(evidence)}`);
      const indent = ' '.repeat(mark[is].length + width + 5);
      if (next !== undefined) out.line(`${indent}${mark.next} ${harmless(next)}`);
    }
  });
}

/** The known facts about nodes' kernels. */
export interface Kernels {
  rows: readonly KernelRow[];
  unanswered: readonly Unanswered[];
}

/** The kernel objects that each step of the data path examines. */
const parts = {
  link: ({ kind }: KernelRow) => kind === 'Port',
  bridge: ({ kind }: KernelRow) => kind === 'Link' || kind === 'Address',
  peers: ({ kind, object }: KernelRow) =>
    ['Neighbour', 'FDB', 'Nexthop', 'Route', 'Rule'].includes(kind) ||
    (kind === 'Set' && /^overlaynet-members-/.test(object)),
  isolation: ({ kind, object }: KernelRow) =>
    kind === 'Table' ||
    (kind === 'Set' && !/^overlaynet-members-/.test(object)) ||
    (kind === 'Chain' && !/^\S+ nat /.test(object)),
  NAT: ({ kind, object }: KernelRow) => kind === 'Chain' && /^\S+ nat /.test(object),
};

const logs = (node: string): string =>
  `the agent of ${node} mends it by itself; where it stays: kubectl logs -n overlaynet-system --all-containers ` +
  `$(kubectl get pods -n overlaynet-system -o name -l app.kubernetes.io/name=overlaynet-agent --field-selector spec.nodeName=${node})`;

/**
 * The state of one part of the data path in the kernels.
 * @param nodes the nodes to examine; undefined: all
 * @param evidence what is right, if nothing differs
 */
export function kernelStep(
  what: keyof typeof parts,
  kernels: Read<Kernels>,
  looked: { nodes?: readonly string[]; concerns?: (row: KernelRow) => boolean },
  evidence: string,
): Step {
  if ('why' in kernels)
    return unknown(what, kernels.why, 'say who may read kernels: role overlaynet-inspector');
  const { nodes, concerns = () => true } = looked;
  const isLooked = (node: string) => nodes === undefined || nodes.includes(node);
  const found = kernels.value.rows.filter((row) => isLooked(row.node) && parts[what](row) && concerns(row));
  const [first] = found;
  if (first !== undefined) {
    const more = found.length > 1 ? ` (and ${found.length - 1} more: kubectl overlay check)` : '';
    return wrong(what, `${rowText(first)}${more}`, logs(first.node));
  }
  const silent = kernels.value.unanswered.filter(({ node }) => isLooked(node));
  const [one] = silent;
  if (one === undefined) return ok(what, evidence);
  const others = silent.length > 1 ? ` and ${silent.length - 1} more nodes` : '';
  return unknown(
    what,
    `the agent of ${one.node}${others} did not say all: ${one.reason}`,
    `does it run? kubectl get pods -n overlaynet-system -o wide --field-selector spec.nodeName=${one.node}`,
  );
}

/** `node1: Wrong Link m-dcos: it is down` */
export const rowText = ({ node, is, kind, object, message }: KernelRow): string =>
  `${node}: ${is} ${kind} ${object}: ${message}`;

/**
 * Reads a value, or gives the reason why it could not be read. An error that is no CommandFailure is a bug of this program
 * and is thrown.
 */
export async function read<T>(work: () => Promise<T>): Promise<Read<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof CommandFailure) return { why: `${error.message}; ${error.next}` };
    throw error;
  }
}

/** Returns a reader of optional values: what it cannot read is undefined, and named in `unknown`. */
export const readingInto =
  (unknown: string[]) =>
  async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      unknown.push(`${what}: ${messageOf(error)}`);
      return undefined;
    }
  };
