import { overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { quoted, type Findings } from './finding.ts';
import type { DcosConfig } from './model.ts';
import { isPublic } from './public.ts';
import type { Entry } from './tree.ts';

interface Range {
  text: string;
  owner: string;
  line: number;
}

/** Returns every range of addresses in the configuration. */
function rangesOf(
  { networks, vtepSubnet, vtepSubnet6 }: DcosConfig,
  network: ReadonlyMap<string, Entry> | undefined,
): Range[] {
  const range = (text: string | undefined, owner: string, line: number): Range[] =>
    text === undefined ? [] : [{ text, owner, line }];
  const lineOf = (key: string) => network?.get(key)?.line ?? 0;
  return [
    ...range(vtepSubnet, 'vtep_subnet', lineOf('vtep_subnet')),
    ...range(vtepSubnet6, 'vtep_subnet6', lineOf('vtep_subnet6')),
    ...networks.flatMap(({ name, subnet, subnet6, line }) =>
      [subnet, subnet6].flatMap((text) => range(text, `network ${name}`, line)),
    ),
  ];
}

/** Checks rules between networks. */
export function judge(
  config: DcosConfig,
  network: ReadonlyMap<string, Entry> | undefined,
  findings: Findings,
): void {
  const { networks, vtepSubnet6, mtu } = config;
  const seen: (Range & { cidr: Cidr })[] = [];
  for (const { text, owner, line } of rangesOf(config, network)) {
    const cidr = parseCidr(text);
    const other = seen.find((one) => overlaps(one.cidr, cidr));
    if (other !== undefined)
      findings.refuse(
        line,
        `${text} of ${owner} overlaps ${other.text} of ${other.owner}${other.line > 0 ? ` in line ${other.line}` : ''}`,
        'give one of them another range',
      );
    if (line > 0 && isPublic(cidr))
      findings.add(
        'warning',
        line,
        `${text} of ${owner} is public address space, and is kept: its owners’ hosts cannot be reached from the cluster`,
      );
    seen.push({ cidr, text, owner, line });
  }
  const names = new Map<string, number>();
  for (const { name, line } of networks) {
    const before = names.get(name);
    if (before !== undefined)
      findings.refuse(
        line,
        `overlays: ${quoted(name)} is there twice, here and in line ${before}`,
        'give one of them another name',
      );
    names.set(name, line);
  }
  const six = networks.find(({ subnet6 }) => subnet6 !== undefined);
  if (mtu < 1280 && (six !== undefined || vtepSubnet6 !== undefined))
    findings.refuse(
      six?.line,
      `the MTU ${mtu} is too small for IPv6, which needs 1280 (RFC 8200)`,
      'raise dcos_overlay_mtu, or take vtep_subnet6 and the IPv6 subnets out',
    );
  if (networks.length > 256)
    findings.refuse(
      undefined,
      `there are ${networks.length} networks, and a cluster may have 256`,
      'remove those that are not used',
    );
}
