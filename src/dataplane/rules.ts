import { familyOf, type Family } from '../net/address.ts';
import { bare } from '../net/cidr.ts';
import { agentTable, mainTable, uplinkMark } from './ownership.ts';

/** Of our policy rules: after `local` (0), before `main` (32766) and what hosts with several uplinks have. */
export const rulePriorities: ReadonlySet<number> = new Set([142, 143]);

/**
 * The policy rules of an overlay subnet, as `ip rule` takes and shows them.
 *
 * - What goes to it is routed by `main`, whatever rules a host has for the addresses that it sends from. This comes first:
 *   most packets go from overlay to overlay, and each table that is looked at costs every packet, twice a node.
 * - What comes from it looks for the agents' addresses in a table of our own: containers reach nodes by the tunnel. The
 *   exception are the replies of a connection that came to the node by its uplink and was translated, as by a NodePort:
 *   they go back by the uplink, since the client has asked an address that it reaches by that.
 */
export const subnetRules = (cidr: string): string[] => [
  rangeRule(cidr),
  `from ${bare(cidr)} fwmark 0/${uplinkBit} lookup ${agentTable} pref 143`,
];

/** What goes to the range is routed by `main`. */
export const rangeRule = (cidr: string): string => `to ${bare(cidr)} lookup ${mainTable} pref 142`;

const [uplinkBit = ''] = uplinkMark.split('/');

export const ruleFamily = (rule: string): Family => familyOf(/^(?:from|to) (\S+)/.exec(rule)?.[1] ?? '');
