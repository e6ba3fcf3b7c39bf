import { bridgesLabel } from '../api/labels.ts';
import { isSet, Maps } from './entries.ts';
import { quoted, type Findings } from './finding.ts';
import { agentKeys, fileKeys, nearest, networkKeys, topKeys } from './keys.ts';
import { dcosDefaults, type Aspect, type DcosConfig, type DcosNetwork } from './model.ts';
import { judge } from './judge.ts';
import { NetworkReader } from './network.ts';
import { readEntries } from './read.ts';
import type { Entry } from './tree.ts';
import { VTEPReader } from './vtep.ts';

/** Reads config.yaml, or a file of /etc/overlay/config; undefined if it is refused. */
export function readConfig(source: string, findings: Findings): DcosConfig | undefined {
  const entries = readEntries(source, findings);
  if (entries === undefined) return undefined;
  const config = new ConfigReader(new Maps(findings)).read(entries);
  return findings.refused ? undefined : config;
}

const known: readonly string[] = [...topKeys, ...networkKeys, ...fileKeys];

const isOverlay = (entry: Entry | undefined): boolean =>
  entry?.value.is === 'map' && entry.value.entries.some(({ key }) => networkKeys.some((one) => one === key));

/** The keys of agent.json. */
interface OfAgents {
  bridges: DcosConfig['bridges'];
  mtu?: number;
  ipv6?: boolean;
}

class ConfigReader {
  readonly #maps: Maps;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  read(all: readonly Entry[]): DcosConfig {
    const top = this.#maps.single(all, known);
    // other files also have a key of that name
    if (!isOverlay(top.get('network'))) top.delete('network');
    this.#tellUnknown(all);
    const network = new NetworkReader(this.#maps).body(top);
    const agent = this.#agent(top);
    const enable =
      this.#maps.fields.truth('dcos_overlay_enable', top.get('dcos_overlay_enable')?.value) ?? true;
    this.#maps.fields.integer(
      'dcos_overlay_config_attempts',
      top.get('dcos_overlay_config_attempts')?.value,
      0,
      10,
    );
    this.#maps.fields.text('dcos_cni_data_dir', top.get('dcos_cni_data_dir')?.value, 'a directory');
    const ipv6 = this.#maps.fields.truth('enable_ipv6', top.get('enable_ipv6')?.value) ?? agent.ipv6 ?? true;
    const networks = new NetworkReader(this.#maps).overlays(network?.get('overlays'), network !== undefined);
    const vtep = new VTEPReader(this.#maps).read(network, networks);
    const mtu = this.#mtu(top.get('dcos_overlay_mtu'), agent.mtu, network?.get('vtep_mtu'));
    if (!enable && top.has('dcos_overlay_enable'))
      this.#maps.findings.add(
        'warning',
        top.get('dcos_overlay_enable')?.line,
        'dcos_overlay_enable is false: every network becomes enabled: false',
        'set spec.enabled where you want one',
      );
    if (mtu > 1450)
      this.#maps.findings.add(
        'warning',
        top.get('dcos_overlay_mtu')?.line,
        `the MTU ${mtu} needs uplinks of ${mtu + 50} on every node (${mtu + 70} with an IPv6 underlay)`,
      );
    if (top.size === 0)
      this.#maps.findings.add(
        'warning',
        undefined,
        'the file sets nothing about the overlay: these are DC/OS’s defaults, networks dcos and dcos6',
      );
    const defaults = this.#defaults(top, networks);
    const config: DcosConfig = {
      sets: this.#sets(top, network !== undefined, agent),
      enable,
      networks,
      ...vtep,
      mtu,
      defaultNetwork: defaults,
      ipv6,
      bridges: agent.bridges,
    };
    judge(config, network, this.#maps.findings);
    return config;
  }

  /** The parts that this file sets; the others have DC/OS's defaults. */
  #sets(top: ReadonlyMap<string, Entry>, hasNetwork: boolean, { mtu, ipv6, bridges }: OfAgents): Aspect[] {
    const has = (...keys: string[]) => keys.some((key) => isSet(top.get(key)));
    return [
      ...(hasNetwork ? ['networks' as const] : []),
      ...(has('dcos_overlay_mtu') || mtu !== undefined ? ['mtu' as const] : []),
      ...(has('dcos_overlay_network_default_name', 'dcos_overlay_network6_default_name')
        ? ['defaultNetwork' as const]
        : []),
      ...(has('enable_ipv6') || ipv6 !== undefined ? ['ipv6' as const] : []),
      ...(has('dcos_overlay_enable') ? ['enable' as const] : []),
      // a file without bridges is a master's, and has no settings for agents
      ...(has('network_config') && (bridges.mesos || bridges.docker) ? ['bridges' as const] : []),
    ];
  }

  /** Skips keys of other parts of DC/OS, and notes those that look like a misspelled key of the overlay. */
  #tellUnknown(entries: readonly Entry[]): void {
    for (const { key, line } of entries) {
      if (known.includes(key)) continue;
      const suggestion = nearest(key, topKeys);
      if (suggestion !== undefined)
        this.#maps.findings.refuse(
          line,
          `${quoted(key)} is no key of DC/OS, and nearly ${suggestion}`,
          `write ${suggestion}, or take it out`,
        );
      else if (/^dcos_overlay/.test(key))
        this.#maps.findings.add(
          'warning',
          line,
          `${quoted(key)} is not known, and is passed over`,
          `known are ${topKeys.join(', ')}`,
        );
    }
  }

  /** Reads `network_config` of agent.json and agent-master.json. */
  #agent(top: ReadonlyMap<string, Entry>): { bridges: DcosConfig['bridges']; mtu?: number; ipv6?: boolean } {
    const entry = top.get('network_config');
    const bridges = { mesos: true, docker: true };
    if (entry === undefined) return { bridges };
    const body = this.#maps.unpacked(entry);
    if (body.is !== 'map') {
      this.#maps.findings.refuse(
        entry.line,
        `network_config must be a map of ${agentKeys.join(', ')}`,
        'give /etc/overlay/config/agent.json as it is',
      );
      return { bridges };
    }
    this.#maps.tellOthers(body.entries, agentKeys, 'network_config.');
    const found = this.#maps.single(body.entries, agentKeys, 'network_config.');
    const truth = (key: (typeof agentKeys)[number]) =>
      this.#maps.fields.truth(`network_config.${key}`, found.get(key)?.value);
    bridges.mesos = truth('mesos_bridge') ?? true;
    bridges.docker = truth('docker_bridge') ?? true;
    if (truth('allocate_subnet') === false)
      this.#maps.findings.add(
        'lost',
        found.get('allocate_subnet')?.line,
        'network_config.allocate_subnet is false: such an agent has no subnet',
        'give the networks a spec.nodeSelector that leaves these nodes out',
      );
    if (!bridges.mesos && !bridges.docker)
      this.#maps.findings.add(
        'warning',
        entry.line,
        'network_config has neither bridge, as masters have: the networks are not changed by that',
        `label the Nodes that are to have none: kubectl label node NODE ${bridgesLabel}=false`,
      );
    const mtu = this.#maps.fields.integer(
      'network_config.overlay_mtu',
      found.get('overlay_mtu')?.value,
      552,
      65_485,
    );
    const ipv6 = truth('enable_ipv6');
    return { bridges, ...(mtu === undefined ? {} : { mtu }), ...(ipv6 === undefined ? {} : { ipv6 }) };
  }

  #mtu(entry: Entry | undefined, ofAgent: number | undefined, ofVTEP: Entry | undefined): number {
    const own = this.#maps.fields.integer('dcos_overlay_mtu', entry?.value, 552, 65_485);
    const vtep = this.#maps.fields.integer('dcos_overlay_network.vtep_mtu', ofVTEP?.value, 552, 65_485);
    const mtu = own ?? ofAgent ?? dcosDefaults.mtu;
    if (entry === undefined && ofAgent === undefined)
      this.#maps.findings.add(
        'note',
        undefined,
        `no dcos_overlay_mtu: spec.mtu is DC/OS’s default, ${dcosDefaults.mtu}`,
      );
    if (vtep !== undefined && vtep !== mtu)
      this.#maps.findings.add(
        'lost',
        ofVTEP?.line,
        `vtep_mtu: ${vtep} differs from ${mtu} of the bridges; overlaynet has one MTU, the smaller`,
      );
    const least = Math.min(mtu, vtep ?? mtu);
    if (least < 576)
      this.#maps.findings.refuse(
        entry?.line,
        `dcos_overlay_mtu: ${least} is too small: overlaynet needs at least 576, and IPv6 1280`,
        'raise it: containers get the new one when they are started anew',
      );
    return least;
  }

  /** Reads default networks. A comma-separated list comes from overlaynet's `export`; DC/OS has one name of each kind. */
  #defaults(top: ReadonlyMap<string, Entry>, networks: readonly DcosNetwork[]): string[] {
    const keys = ['dcos_overlay_network_default_name', 'dcos_overlay_network6_default_name'] as const;
    const chosen = keys.flatMap((key) => {
      const entry = top.get(key);
      const names =
        this.#maps.fields.text(key, entry?.value, 'the name of a network')?.split(/\s*,\s*/) ?? [];
      for (const name of names)
        if (!networks.some((one) => one.name === name))
          this.#maps.findings.refuse(
            entry?.line,
            `${key}: ${quoted(name)} is not one of the networks ${networks.map((one) => one.name).join(', ')}`,
            'name one of them',
          );
      return names;
    });
    if (chosen.length > 0) return [...new Set(chosen)];
    const [first] = networks;
    if (first !== undefined && !networks.some(({ name }) => name === dcosDefaults.defaultName))
      this.#maps.findings.add(
        'warning',
        first.line,
        `there is no network dcos, which is DC/OS’s default and becomes spec.defaultNetwork: pods that name no network are refused`,
        `set dcos_overlay_network_default_name: ${first.name}, if that is meant`,
      );
    return [dcosDefaults.defaultName];
  }
}
