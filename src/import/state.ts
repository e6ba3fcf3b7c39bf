import { formatCidr, parseCidr } from '../net/cidr.ts';
import { readable } from '../net/address.ts';
import { Fields } from './fields.ts';
import { quoted, type Findings } from './finding.ts';
import type { Objects } from './objects.ts';
import { AgentReader, type OldAgent } from './stateagent.ts';

/** Number of refusals after which reading ends. */
const mostRefusals = 40;

const source = 'give what GET /overlay-master/state of the old master answers';
const another = 'give files of one cluster, and of one time';

/**
 * Reads the agents of a state document (`/overlay-master/state`). A contradiction to the configuration, or within the
 * document, is refused. What overlaynet cannot keep is `lost`.
 * @returns undefined if it is refused
 */
export function readState(text: string, objects: Objects, findings: Findings): OldAgent[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    findings.refuse(undefined, 'this is not JSON, or not all of it', source);
    return undefined;
  }
  const document = new Fields(value, '', findings);
  if (!document.has('agents')) findings.refuse(undefined, 'there is no list "agents"', source);
  compareNetworks(document.object('network'), objects, findings);
  // if the files come from two clusters, every agent would be refused
  const refusals = () => findings.all.filter(({ weight }) => weight === 'refusal').length;
  if (refusals() > 0) return undefined;
  const reader = new AgentReader(objects, findings);
  const agents: OldAgent[] = [];
  for (const one of document.objects('agents')) {
    agents.push(...reader.read(one));
    if (refusals() < mostRefusals) continue;
    findings.refuse(undefined, 'there is more of that, and the rest is not read', source);
    break;
  }
  reader.finish();
  return refusals() > 0 ? undefined : agents;
}

/** Compares the values that both files have. */
function compareNetworks(network: Fields, { config, networks }: Objects, findings: Findings): void {
  const refuse = (message: string) => {
    findings.refuse(undefined, message, another);
  };
  const oui = network.text('vtep_mac_oui');
  if (oui !== undefined && oui.toLowerCase() !== config.spec.vtepMACOUI.toLowerCase())
    refuse(`network.vtep_mac_oui is ${quoted(oui)}, and the configuration has ${config.spec.vtepMACOUI}`);
  for (const key of ['vtep_subnet', 'vtep_subnet6']) {
    const text = network.text(key);
    if (text !== undefined && !config.spec.vtepSubnets.includes(canonical(text)))
      refuse(
        `network.${key} is ${quoted(text)}, and the configuration has ${config.spec.vtepSubnets.join(', ')}`,
      );
  }
  const overlays = network.objects('overlays');
  const names = new Set(overlays.map((one) => one.text('name') ?? ''));
  for (const name of names)
    if (!networks.some(({ metadata }) => metadata.name === name))
      refuse(`the state has a network ${quoted(name)}, and the configuration has none`);
  for (const { metadata, spec } of networks)
    if (network.has('overlays') && spec.enabled && !names.has(metadata.name))
      refuse(`the configuration has a network ${metadata.name}, and the state has none`);
  for (const one of overlays) compareSubnets(one, networks, refuse);
}

function compareSubnets(
  overlay: Fields,
  networks: Objects['networks'],
  refuse: (message: string) => void,
): void {
  const name = overlay.text('name');
  const own = networks.find(({ metadata }) => metadata.name === name)?.spec.subnets;
  for (const [key, length] of [
    ['subnet', 'prefix'],
    ['subnet6', 'prefix6'],
  ] as const) {
    const text = overlay.text(key);
    const prefix = overlay.integer(length);
    if (text === undefined || own === undefined) continue;
    if (!own.some((entry) => entry.cidr === canonical(text) && entry.prefix === prefix))
      refuse(
        `network ${name ?? ''} has ${text} in blocks of /${prefix ?? '?'}, and the configuration ${own.map((entry) => `${entry.cidr} in blocks of /${entry.prefix}`).join(', ')}`,
      );
  }
}

const canonical = (text: string): string => readable(() => formatCidr(parseCidr(text))) ?? text;
