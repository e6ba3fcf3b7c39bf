import { familyName, readable, type Family } from '../net/address.ts';
import { cidrOf, formatCidr, parseInterface, type Cidr } from '../net/cidr.ts';
import { quoted, type Findings } from './finding.ts';
import type { Tree } from './tree.ts';

/** Reads single values, and records what is wrong with them: line, field, value, rule, remedy. */
export class Fields {
  readonly findings: Findings;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** A scalar's text; undefined if the value is no scalar. */
  text(field: string, tree: Tree | undefined, rule: string): string | undefined {
    if (tree === undefined || tree.is === 'nothing') return undefined;
    if (tree.is !== 'text') {
      const is = tree.is === 'list' ? 'a list' : 'a map';
      this.findings.refuse(
        tree.line,
        `${field} is ${is}, and must be ${rule}`,
        `write "${last(field)}: VALUE" in one line`,
      );
      return undefined;
    }
    const text = tree.text.trim();
    if (!isPlaceholder(text)) return text;
    this.findings.refuse(
      tree.line,
      `${field}: ${quoted(text)} is a placeholder, and must be ${rule}`,
      'put the value of your cluster in its place',
    );
    return undefined;
  }

  integer(field: string, tree: Tree | undefined, least: number, most: number): number | undefined {
    const rule = `a whole number from ${least} to ${most}`;
    const text = this.text(field, tree, rule);
    if (text === undefined || tree === undefined) return undefined;
    const number = /^(0|[1-9][0-9]{0,8})$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    this.findings.refuse(
      tree.line,
      `${field}: ${quoted(text)} is not ${rule}`,
      `write it in decimal digits: ${last(field)}: ${Math.max(least, Math.min(most, 24))}`,
    );
    return undefined;
  }

  truth(field: string, tree: Tree | undefined): boolean | undefined {
    const rule = 'true or false';
    const text = this.text(field, tree, rule);
    if (text === undefined || tree === undefined) return undefined;
    if (/^(true|yes|on)$/i.test(text)) return true;
    if (/^(false|no|off)$/i.test(text)) return false;
    this.findings.refuse(
      tree.line,
      `${field}: ${quoted(text)} is not ${rule}`,
      `write ${last(field)}: 'true'`,
    );
    return undefined;
  }

  /** A subnet as canonical text. */
  cidr(field: string, tree: Tree | undefined, family: Family): { text: string; cidr: Cidr } | undefined {
    const example = family === 4 ? '10.1.0.0/16' : 'fd01:b::/64';
    const rule = `an ${familyName(family)} subnet such as ${example}`;
    const text = this.text(field, tree, rule);
    if (text === undefined || tree === undefined) return undefined;
    const read = readable(() => parseInterface(text));
    const whole = read && cidrOf(read.address, read.length);
    if (read !== undefined && whole?.family === family && whole.base === read.address.value)
      return { text: formatCidr(whole), cidr: whole };
    let why = text.includes('/') ? `is not ${rule}` : `has no length: it must be ${rule}`;
    let next = `write ${last(field)}: ${example}`;
    if (whole !== undefined && whole.family !== family) {
      why = `is ${familyName(whole.family)}, and must be ${rule}`;
      next = `give it as ${last(field).replace(/6?$/, family === 4 ? '6' : '')}`;
    } else if (whole !== undefined) {
      why = 'has bits set beyond its length';
      next = `write ${formatCidr(whole)}, if that is the subnet that is meant`;
    }
    this.findings.refuse(tree.line, `${field}: ${quoted(text)} ${why}`, next);
    return undefined;
  }
}

const last = (field: string): string => field.split('.').at(-1) ?? field;

/** Matches placeholders, which documents show where each cluster has a value of its own. */
export const isPlaceholder = (text: string): boolean =>
  /^<[^>]*>$|\{\{|\$\{|^\$[A-Z_(]|^\.\.\.$|^…$|^(?:x{1,3}\.){1,3}x{1,3}|^(?:YOUR|CHANGE|REPLACE|TODO|FIXME)[-_ A-Z]*$/.test(
    text,
  );
