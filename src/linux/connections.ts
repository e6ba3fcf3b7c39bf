import { readSysctl, sysctlName } from './sysctl.ts';

/** Counters of the node's own network namespace; both are absent while connections are not tracked. */
const paths = { most: 'net/netfilter/nf_conntrack_max', count: 'net/netfilter/nf_conntrack_count' };

const share = 0.9;

/** Connections in the table and its size; undefined while connections are not tracked. */
export function connections(root: string): { count: number; most: number } | undefined {
  const [count, most] = [readSysctl(paths.count, root), readSysctl(paths.most, root)];
  return count === undefined || most === undefined ? undefined : { count: Number(count), most: Number(most) };
}

/**
 * Says that the table of connections is full or nearly full, so that new connections fail. Existing connections go on, also
 * between nodes, because the tunnel's own packets have no entry in the table (src/dataplane/filter.ts).
 */
export function connectionsFull(root: string): string | undefined {
  const [most, count] = [readSysctl(paths.most, root), readSysctl(paths.count, root)].map(Number);
  if (most === undefined || count === undefined || !(count >= most * share)) return undefined;
  // the current count is left out: it would change the message all the time
  return (
    `the table of connections is ${share * 100} % full or more (${sysctlName(paths.most)} is ${most}): where it is full, new ` +
    'connections of containers and processes fail on this node; raise it, and look with `conntrack -S` and `conntrack -L` ' +
    'for who fills it'
  );
}
