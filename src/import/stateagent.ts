import { contains, formatCidr, halves, parseCidr, parseInterface } from '../net/cidr.ts';
import { familyOf, formatAddress, isAddress, parseAddress, readable, withoutLength } from '../net/address.ts';
import { vtepIndex, vtepWithMAC } from '../net/vtep.ts';
import type { Fields } from './fields.ts';
import { quoted, type Findings } from './finding.ts';
import type { Objects } from './objects.ts';

/** The allocation of one agent of the old cluster. Addresses are canonical text. */
export interface OldAgent {
  /** The agent's own address. */
  address: string;
  vtep?: { ip?: string; ip6?: string; mac: string };
  networks: { name: string; subnets: string[] }[];
  /** Whether it has subnets without bridges, like a master that registered itself. */
  bare: boolean;
}

type OldVTEP = NonNullable<OldAgent['vtep']>;

const another = 'give files of one cluster, and of one time';
const damaged = 'the state is damaged; ask the old master again';
/** Maximum number of agents in one message. */
const mostNamed = 5;

/** Reads the agents of one state document, one after the other. */
export class AgentReader {
  readonly #objects: Objects;
  readonly #findings: Findings;
  /** The agent that has an address, VTEP, MAC or block. */
  readonly #owner = new Map<string, string>();
  /** Agents by what they lack, in words. */
  readonly #lacking = new Map<string, string[]>();

  constructor(objects: Objects, findings: Findings) {
    this.#objects = objects;
    this.#findings = findings;
  }

  read(agent: Fields): OldAgent[] {
    const ip = agent.text('ip');
    if (ip === undefined || !isAddress(ip)) {
      const what = ip === undefined ? 'has no ip' : `has the ip ${quoted(ip)}, which is no IP address`;
      this.#refuse(`an agent ${what}`, damaged);
      return [];
    }
    const address = formatAddress(parseAddress(ip));
    this.#own(address, address, 'is there twice');
    const overlays = agent.objects('overlays');
    const networks = overlays.flatMap((overlay) => this.#network(address, overlay));
    const vtep = this.#vtep(address, overlays);
    if (overlays.length === 0) this.#lacks('no overlay: nothing is kept', address);
    else if (vtep === undefined) this.#lacks('no VTEP: a free one is given', address);
    const names = networks.map(({ name }) => name);
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice !== undefined) this.#refuse(`agent ${address} has network ${twice} twice`, damaged);
    const bare =
      networks.length > 0 && overlays.every((one) => !one.has('mesos_bridge') && !one.has('docker_bridge'));
    return vtep === undefined && networks.length === 0
      ? []
      : [{ address, ...(vtep === undefined ? {} : { vtep }), networks, bare }];
  }

  /** Records what agents lack, in one finding for all that lack the same. */
  finish(): void {
    for (const [what, agents] of this.#lacking) {
      const more = agents.length > mostNamed ? ` and ${agents.length - mostNamed} more` : '';
      const named = agents.slice(0, mostNamed).join(', ');
      this.#findings.add(
        'note',
        undefined,
        `${agents.length === 1 ? 'agent' : 'agents'} ${named}${more}: ${what}`,
      );
    }
  }

  #refuse(message: string, next: string): void {
    this.#findings.refuse(undefined, message, next);
  }

  #lacks(what: string, agent: string): void {
    this.#lacking.set(what, [...(this.#lacking.get(what) ?? []), agent]);
  }

  /** Checks that no other agent has it. */
  #own(key: string, agent: string, words = `has ${key}`): void {
    const other = this.#owner.get(key);
    if (other !== undefined) this.#refuse(`agent ${agent} ${words}, and so has agent ${other}`, damaged);
    this.#owner.set(key, agent);
  }

  #network(agent: string, overlay: Fields): OldAgent['networks'] {
    const name = overlay.object('info').text('name') ?? '';
    const network = this.#objects.networks.find(({ metadata }) => metadata.name === name);
    if (network === undefined) {
      this.#refuse(`agent ${agent} has a network ${quoted(name)}, and the configuration has none`, another);
      return [];
    }
    const { subnets: wholes, containerizers = ['CNI', 'Docker'] } = network.spec;
    const subnets = (['subnet', 'subnet6'] as const).flatMap((key) => {
      const text = overlay.text(key);
      if (text === undefined) return [];
      const cidr = readable(() => parseCidr(text));
      const whole = wholes.find((one) => cidr !== undefined && contains(parseCidr(one.cidr), cidr));
      if (cidr === undefined || whole?.prefix !== cidr.length) {
        this.#refuse(`agent ${agent} has ${quoted(text)}, which is no block of network ${name}`, another);
        return [];
      }
      const own = formatCidr(cidr);
      this.#own(own, agent);
      this.#bridges(agent, name, own, overlay, containerizers);
      return [own];
    });
    for (const { cidr } of wholes)
      if (!subnets.some((one) => familyOf(one) === familyOf(cidr)))
        this.#lacks(`no block of ${cidr} (${name}): a free one is given`, agent);
    return subnets.length === 0 ? [] : [{ name, subnets }];
  }

  /** Checks the bridges: overlaynet gives the first half to the CNI bridge and the second half to Docker's. */
  #bridges(
    agent: string,
    name: string,
    own: string,
    overlay: Fields,
    containerizers: readonly string[],
  ): void {
    const whole = parseCidr(own);
    const [first, second] = containerizers.length === 2 ? halves(whole) : [whole, whole];
    for (const [key, half] of [
      ['mesos_bridge', first],
      ['docker_bridge', second],
    ] as const) {
      const text = overlay.object(key).text(familyOf(own) === 4 ? 'ip' : 'ip6');
      if (text === undefined || readable(() => formatCidr(parseCidr(text))) === formatCidr(half)) continue;
      const message = `agent ${agent}: ${key} of network ${name} has ${text}; it will have ${formatCidr(half)}`;
      this.#findings.add('lost', undefined, message);
    }
  }

  #vtep(agent: string, overlays: readonly Fields[]): OldVTEP | undefined {
    const found = overlays.flatMap((one) => {
      const vxlan = one.object('backend').object('vxlan');
      const [ip, ip6, mac] = ['vtep_ip', 'vtep_ip6', 'vtep_mac'].map((key) => vxlan.text(key));
      if (mac === undefined && ip === undefined && ip6 === undefined) return [];
      if (mac === undefined || (ip === undefined && ip6 === undefined)) {
        const half =
          mac === undefined ? 'a VTEP without vtep_mac' : 'vtep_mac, and neither vtep_ip nor vtep_ip6';
        this.#refuse(`agent ${agent} has ${half}`, damaged);
        return [];
      }
      return [{ ...(ip && { ip }), ...(ip6 && { ip6 }), mac: mac.toLowerCase() }];
    });
    const [first] = found;
    if (first === undefined) return undefined;
    if (found.some((one) => JSON.stringify(one) !== JSON.stringify(first)))
      this.#refuse(`agent ${agent} has another VTEP in one overlay than in another`, damaged);
    return this.#inForce(agent, first);
  }

  /** Reads the VTEP in a form that the operator can keep. */
  #inForce(agent: string, { ip, ip6, mac }: OldVTEP): OldVTEP | undefined {
    const { vtepSubnets, vtepMACOUI } = this.#objects.config.spec;
    const four = ip === undefined ? undefined : this.#address(agent, ip);
    const six = ip6 === undefined ? undefined : this.#address(agent, ip6);
    const index = four?.index ?? six?.index;
    if (index === undefined) return undefined;
    if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac)) {
      this.#refuse(`agent ${agent}: vtep_mac ${quoted(mac)} is no unicast MAC`, damaged);
      return undefined;
    }
    this.#own(mac, agent);
    const usual = vtepWithMAC(vtepSubnets, vtepMACOUI, mac);
    if (usual !== undefined && usual !== index)
      this.#refuse(
        `agent ${agent} is VTEP ${index + 1} with the MAC ${mac}, which overlaynet gives VTEP ${usual + 1}`,
        'take the agent out of the state; its Node gets a VTEP as any',
      );
    if (four === undefined || six === undefined || four.index === six.index)
      return { ...(four && { ip: four.text }), ...(six && { ip6: six.text }), mac };
    const message = `agent ${agent}: ${four.text} is VTEP ${four.index + 1} of its subnet and ${six.text} VTEP ${six.index + 1}, and a node has one number here: the IPv6 address becomes another`;
    this.#findings.add('lost', undefined, message);
    return { ip: four.text, mac };
  }

  /** Reads one address of a VTEP, and its number in the subnet. */
  #address(agent: string, source: string): { text: string; index: number } | undefined {
    const { vtepSubnets } = this.#objects.config.spec;
    const index = readable(() => vtepIndex(vtepSubnets, source));
    const length = readable(() => parseInterface(source).length);
    const subnet = vtepSubnets
      .map(parseCidr)
      .find(({ family }) => family === readable(() => familyOf(source)));
    if (index === undefined || length === undefined || length !== subnet?.length) {
      this.#refuse(`agent ${agent}: ${quoted(source)} is no VTEP of ${vtepSubnets.join(', ')}`, another);
      return undefined;
    }
    const text = `${formatAddress(parseAddress(withoutLength(source)))}/${length}`;
    this.#own(text, agent);
    return { text, index };
  }
}
