import { isReserved } from '../api/validate.ts';
import { isName, nameRule, reservedNames } from '../net/name.ts';
import type { Maps } from './entries.ts';
import { quoted } from './finding.ts';
import { networkKeys, overlayKeys } from './keys.ts';
import { dcosDefaults, type DcosNetwork } from './model.ts';
import type { Entry, Tree } from './tree.ts';

/** Reads `dcos_overlay_network`. */
export class NetworkReader {
  readonly #maps: Maps;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  /** `dcos_overlay_network`, also if its body is not indented; undefined if it is not set: the defaults apply. */
  body(top: ReadonlyMap<string, Entry>): ReadonlyMap<string, Entry> | undefined {
    const beside = networkKeys.flatMap((key) => top.get(key) ?? []);
    const entry = top.get('dcos_overlay_network') ?? top.get('network');
    const [first] = beside;
    if (entry === undefined) {
      if (first === undefined) return undefined;
      this.#maps.findings.add(
        'note',
        first.line,
        `${first.key} stands at the top, and is read as a part of dcos_overlay_network`,
      );
      return this.#maps.single(beside, networkKeys);
    }
    const body = this.#maps.unpacked(entry);
    if (body.is === 'nothing') {
      if (first === undefined) {
        this.#maps.findings.refuse(
          entry.line,
          `${entry.key} is empty`,
          `give it ${networkKeys.join(', ')}, indented below it; or take the key out, and DC/OS’s defaults are meant`,
        );
        return undefined;
      }
      this.#maps.findings.add(
        'note',
        first.line,
        `the body of ${entry.key} is not indented; it is read as its body all the same`,
      );
      return this.#maps.single(beside, networkKeys);
    }
    if (body.is !== 'map') {
      this.#maps.findings.refuse(
        body.line,
        `${entry.key} is ${body.is === 'list' ? 'a list' : quoted(body.text)}, and must be a map of ${networkKeys.join(', ')}`,
        'copy it from the config.yaml that DC/OS was installed with',
      );
      return undefined;
    }
    if (first !== undefined)
      this.#maps.findings.refuse(
        first.line,
        `${first.key} stands at the top, beside ${entry.key}, which has a body of its own`,
        `indent it below ${entry.key}, or take it out`,
      );
    this.#maps.tellOthers(body.entries, networkKeys, `${entry.key}.`);
    return this.#maps.single(body.entries, networkKeys, `${entry.key}.`);
  }

  overlays(entry: Entry | undefined, isGiven: boolean): DcosNetwork[] {
    if (!isGiven) return dcosDefaults.networks.map((one) => ({ ...one, enabled: true, line: 0 }));
    const list = entry?.value;
    if (list === undefined || list.is === 'nothing') {
      this.#maps.findings.add(
        'warning',
        entry?.line,
        'dcos_overlay_network has no overlays: there are no networks',
      );
      return [];
    }
    if (list.is !== 'list') {
      this.#maps.findings.refuse(
        list.line,
        'overlays must be a list: "- name: …"',
        'begin each network with "- "',
      );
      return [];
    }
    return list.items.flatMap((item, place) => this.#overlay(item, `overlays[${place}]`) ?? []);
  }

  #overlay(item: Tree, field: string): DcosNetwork | undefined {
    if (item.is !== 'map') {
      this.#maps.findings.refuse(
        item.line,
        `${field} must be a map of ${overlayKeys.join(', ')}`,
        'write "- name: NAME", and the other keys below "name"',
      );
      return undefined;
    }
    this.#maps.tellOthers(item.entries, overlayKeys, `${field}.`);
    const found = this.#maps.single(item.entries, overlayKeys, `${field}.`);
    const of = (key: (typeof overlayKeys)[number]) => found.get(key)?.value;
    const line = found.get('name')?.line ?? item.line;
    const name = this.#name(`${field}.name`, of('name'), line);
    const four = this.#subnet(field, '', found, 4);
    const six = this.#subnet(field, '6', found, 6);
    const enabled = this.#maps.fields.truth(`${field}.enabled`, of('enabled')) ?? true;
    const hasNeither = (['subnet', 'subnet6'] as const).every(
      (key) => (of(key)?.is ?? 'nothing') === 'nothing',
    );
    if (hasNeither)
      this.#maps.findings.refuse(
        line,
        `${field} has neither subnet nor subnet6`,
        'give it one: subnet: 10.1.0.0/16, prefix: 24',
      );
    if (name === undefined) return undefined;
    return {
      name,
      ...four,
      ...(six.subnet === undefined ? {} : { subnet6: six.subnet }),
      ...(six.prefix === undefined ? {} : { prefix6: six.prefix }),
      enabled,
      line,
    };
  }

  #name(field: string, tree: Tree | undefined, line: number): string | undefined {
    const name = this.#maps.fields.text(field, tree, nameRule);
    if (name === undefined) {
      if (tree === undefined || tree.is === 'nothing')
        this.#maps.findings.refuse(line, `${field} is missing`, 'give the network a name');
      return undefined;
    }
    const long = name.length > 13 ? ` (it has ${name.length})` : '';
    const next = 'choose another name, here and in what containers ask for';
    if (!isName(name))
      this.#maps.findings.refuse(line, `${field}: ${quoted(name)} is not ${nameRule}${long}`, next);
    else if (reservedNames.has(name))
      this.#maps.findings.refuse(
        line,
        `${field}: ${quoted(name)} is reserved: ${[...reservedNames].join(', ')} are Docker’s`,
        next,
      );
    else return name;
    return undefined;
  }

  #subnet(
    field: string,
    six: '' | '6',
    found: ReadonlyMap<string, Entry>,
    family: 4 | 6,
  ): { subnet?: string; prefix?: number } {
    const subnet = this.#maps.fields.cidr(`${field}.subnet${six}`, found.get(`subnet${six}`)?.value, family);
    const entry = found.get(`prefix${six}`);
    const prefix = this.#maps.fields.integer(
      `${field}.prefix${six}`,
      entry?.value,
      1,
      family === 4 ? 29 : 125,
    );
    const isSet = (key: string) => (found.get(key)?.value.is ?? 'nothing') !== 'nothing';
    if (isSet(`subnet${six}`) !== isSet(`prefix${six}`)) {
      const [has, lacks] = isSet(`subnet${six}`) ? ['subnet', 'prefix'] : ['prefix', 'subnet'];
      this.#maps.findings.refuse(
        found.get(`${has}${six}`)?.line,
        `${field} has ${has}${six} and no ${lacks}${six}`,
        `give both: the subnet, and the length of each agent’s part of it`,
      );
    }
    if (subnet === undefined || prefix === undefined) return {};
    const { length } = subnet.cidr;
    if (isReserved(subnet.cidr))
      this.#maps.findings.refuse(
        found.get(`subnet${six}`)?.line,
        `${field}.subnet${six}: ${subnet.text} is loopback, link-local, multicast or the default route`,
        'choose a private range such as 10.1.0.0/16',
      );
    if (prefix <= length || prefix > length + 20)
      this.#maps.findings.refuse(
        entry?.line,
        `${field}.prefix${six}: ${prefix} must be longer than the subnet’s ${length}, by at most 20`,
        `choose one from ${length + 1} to ${Math.min(length + 20, family === 4 ? 29 : 125)}`,
      );
    return { subnet: subnet.text, prefix };
  }
}
