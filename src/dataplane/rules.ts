import { familyOf, type Family } from '../net/address.ts';
import { bare } from '../net/cidr.ts';
import { agentTable, mainTable, uplinkMark } from './ownership.ts';

/**
 * Priorities of our policy rules: after `local` (0), before `main` (32766) and the rules of hosts with several
 * uplinks.
 */
const toOverlays = 142;
const fromOverlays = 143;
export const rulePriorities: ReadonlySet<number> = new Set([toOverlays, fromOverlays]);

/**
 * The policy rules of an overlay subnet, as `ip rule` takes and shows them.
 *
 * - Packets to it are routed by `main`, whatever rules a host has for its source addresses. This rule is first: most
 *   packets go from overlay to overlay, and each table costs every packet, twice a node.
 * - Packets from it look up the agents' addresses in a table of our own, so containers reach nodes by the tunnel. The
 *   exception is a reply of a connection that came to the node by its uplink and was translated, as by a NodePort. It
 *   goes back by the uplink, by which the client reaches the address that it asked.
 */
export const subnetRules = (cidr: string): string[] => [
  rangeRule(cidr),
  `from ${bare(cidr)} fwmark 0/${uplinkBit} lookup ${agentTable} pref ${fromOverlays}`,
];

/** Routes packets to the range by `main`. */
export const rangeRule = (cidr: string): string => `to ${bare(cidr)} lookup ${mainTable} pref ${toOverlays}`;

const [uplinkBit = ''] = uplinkMark.split('/');

export const ruleFamily = (rule: string): Family => familyOf(/^(?:from|to) (\S+)/.exec(rule)?.[1] ?? '');
