/** A pattern of specs that are left out, and the reason. */
interface Rule {
  holds: RegExp;
  why: string;
}

/** If several rules match a spec, the first one gives the reason. */
const leftOut: Rule[] = [
  { holds: /\[Feature:NetworkPolicy\]/, why: 'NetworkPolicy, which overlaynet does not enforce' },
  { holds: /\[Feature:LoadBalancer\]/, why: "a cloud's load balancer" },
  { holds: /\[Feature:SCTPConnectivity\]/, why: 'SCTP, which many kernels lack' },
  { holds: /\[Provider:|Forward PTR lookup/, why: 'names on the internet: the cluster has no uplink' },
  {
    holds: /\[Feature:Networking-(IPv4|IPv6|DNS)\]/,
    why: 'a route to the internet: the cluster has no uplink',
  },
  { holds: /\[Disruptive\]/, why: 'SSH to the nodes, to stop parts of Kubernetes there' },
  { holds: /\[Feature:OffByDefault\]/, why: 'a feature gate that is off in this Kubernetes' },
  {
    holds: /\[Feature:Networking-Performance\]/,
    why: "a later iperf than Debian 12's, which reports fewer figures",
  },
  {
    holds: /Topology Hints/,
    why: 'two zones of workers alone: its controller gives a control plane no hints',
  },
  {
    holds: /should implement NodePort and HealthCheckNodePort correctly/,
    why: "a network without a tunnel: kube-proxy masquerades to the address of the link, here the VTEP's",
  },
  { holds: /\[Feature:PerformanceDNS\]/, why: 'ten thousand Services: a load test of API server and DNS' },
];

/** Specs that run together. */
export interface Group {
  name: string;
  specs: string[];
}

/** The specs to run, in order, and the specs that are left out, by reason. */
export interface Choice {
  groups: Group[];
  leftOut: Map<string, string[]>;
}

const conformance = /\[Conformance\]/;
const dualStack = /\[Feature:IPv6DualStack\]/;

/**
 * Chooses among the texts of all `[sig-network]` specs. A conformance spec is never left out.
 * @param words regular expressions; a spec is considered if it matches one of them. Empty: all specs are.
 */
export function choose(texts: string[], words: string[] = []): Choice {
  const groups: Group[] = [
    { name: '[Conformance]', specs: [] },
    { name: '[Feature:IPv6DualStack]', specs: [] },
    { name: 'the other specs', specs: [] },
  ];
  const [required, dual, others] = groups.map(({ specs }) => specs);
  const byReason = new Map<string, string[]>();
  const asked = words.map((word) => new RegExp(word));
  for (const text of texts) {
    if (asked.length > 0 && !asked.some((word) => word.test(text))) continue;
    const rule = leftOut.find(({ holds }) => holds.test(text));
    if (conformance.test(text)) required?.push(text);
    else if (rule) byReason.set(rule.why, [...(byReason.get(rule.why) ?? []), text]);
    else (dualStack.test(text) ? dual : others)?.push(text);
  }
  return { groups: groups.filter(({ specs }) => specs.length > 0), leftOut: byReason };
}

/** A regular expression, valid in Go too, that matches exactly these texts. */
export const exactly = (texts: string[]): string =>
  `(?:${texts.map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})$`;

/** The table of left-out specs in docs/conformance.md. */
export const table = (byReason: Map<string, string[]>): string =>
  [...byReason].map(([why, specs]) => `${String(specs.length).padStart(4)}  ${why}`).join('\n');
