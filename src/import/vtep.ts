import { isReserved } from '../api/validate.ts';
import { isSet, type Maps } from './entries.ts';
import { quoted } from './finding.ts';
import { dcosDefaults, type DcosConfig, type DcosNetwork } from './model.ts';
import type { Entry } from './tree.ts';

/** Reads the keys of `dcos_overlay_network` about VTEPs. */
export class VTEPReader {
  readonly #maps: Maps;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  read(
    network: ReadonlyMap<string, Entry> | undefined,
    networks: readonly DcosNetwork[],
  ): Pick<DcosConfig, 'vtepSubnet' | 'vtepSubnet6' | 'vtepMACOUI'> {
    const { vtepSubnet, vtepSubnet6, vtepMACOUI } = dcosDefaults;
    if (network === undefined) return { vtepSubnet, vtepSubnet6, vtepMACOUI };
    const field = 'dcos_overlay_network';
    const four = this.#vtepSubnet(`${field}.vtep_subnet`, network.get('vtep_subnet'), 4);
    const six = this.#vtepSubnet(`${field}.vtep_subnet6`, network.get('vtep_subnet6'), 6);
    for (const [key, has, kind] of [
      ['vtep_subnet', four, 'subnet'],
      ['vtep_subnet6', six, 'subnet6'],
    ] as const) {
      const needs = networks.find((one) => one[kind] !== undefined);
      if (has === undefined && needs !== undefined && !isSet(network.get(key)))
        this.#maps.findings.refuse(
          needs.line,
          `${field}.${key} is missing, and network ${needs.name} has ${kind} ${needs[kind] ?? ''}`,
          `give ${key}: ${key === 'vtep_subnet' ? vtepSubnet : vtepSubnet6} is DC/OS’s default`,
        );
    }
    return {
      ...(four === undefined ? {} : { vtepSubnet: four }),
      ...(six === undefined ? {} : { vtepSubnet6: six }),
      vtepMACOUI: this.#oui(network.get('vtep_mac_oui')) ?? vtepMACOUI,
    };
  }

  #vtepSubnet(field: string, entry: Entry | undefined, family: 4 | 6): string | undefined {
    const subnet = this.#maps.fields.cidr(field, entry?.value, family);
    if (subnet === undefined) return undefined;
    const most = family === 4 ? 30 : 126;
    const { length } = subnet.cidr;
    if (isReserved(subnet.cidr))
      this.#maps.findings.refuse(
        entry?.line,
        `${field}: ${subnet.text} is loopback, link-local, multicast or the default route`,
        'choose a private range such as 10.255.0.0/20',
      );
    else if (length < 8 || length > most)
      this.#maps.findings.refuse(
        entry?.line,
        `${field}: ${subnet.text} must be from /8 to /${most}`,
        'give the subnet as DC/OS had it; /20 holds 4,094 agents',
      );
    return subnet.text;
  }

  #oui(entry: Entry | undefined): string | undefined {
    const rule = 'three octets followed by 00:00:00, such as 70:B3:D5:00:00:00';
    const field = 'dcos_overlay_network.vtep_mac_oui';
    const text = this.#maps.fields.text(field, entry?.value, rule);
    if (text === undefined) return undefined;
    const octets = /^[0-9A-Fa-f]{12}$/.test(text)
      ? (text.match(/../g) ?? []).join(':')
      : text.replaceAll('-', ':');
    if (/^([0-9A-Fa-f]{2}:){3}00:00:00$/.test(octets) && (parseInt(octets.slice(0, 2), 16) & 1) === 0) {
      if (octets !== text)
        this.#maps.findings.add('note', entry?.line, `${field}: ${quoted(text)} is read as ${octets}`);
      return octets;
    }
    const why =
      /^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$/.test(octets) && octets.endsWith('00:00:00')
        ? 'is a multicast MAC: its first octet must be even'
        : `is not ${rule}`;
    this.#maps.findings.refuse(
      entry?.line,
      `${field}: ${quoted(text)} ${why}`,
      'write it in quotation marks, as DC/OS had it',
    );
    return undefined;
  }
}
