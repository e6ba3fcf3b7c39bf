import type { OverlayConfigSpec, OverlayNetwork } from '../api/types.ts';
import { familyOf } from '../net/address.ts';

/** Renders the objects as a config.yaml, and lists what DC/OS cannot express. */
export function toConfig(
  config: OverlayConfigSpec,
  networks: readonly OverlayNetwork[],
): { text: string; lost: string[] } {
  const lost: string[] = [];
  const { mtu, defaultNetwork, vtepMACOUI, vtepSubnets } = config;
  const lines = ["dcos_overlay_enable: 'true'"];
  if (mtu === undefined) lost.push('OverlayConfig: there is no spec.mtu; DC/OS takes 1420');
  else lines.push(`dcos_overlay_mtu: ${mtu}`);
  if (defaultNetwork !== '') lines.push(`dcos_overlay_network_default_name: ${text(defaultNetwork)}`);
  if (defaultNetwork.includes(','))
    lost.push(`OverlayConfig: spec.defaultNetwork is ${defaultNetwork}; DC/OS takes one name of each family`);
  const { vni, port, underlay } = config;
  if (vni !== 1024) lost.push(`OverlayConfig: spec.vni is ${vni}; DC/OS has 1024`);
  if (port !== 64_000) lost.push(`OverlayConfig: spec.port is ${port}; DC/OS has 64000`);
  if (underlay !== 'IPv4') lost.push(`OverlayConfig: spec.underlay is ${underlay}; DC/OS has IPv4`);
  lines.push('dcos_overlay_network:');
  for (const subnet of vtepSubnets)
    lines.push(`  vtep_subnet${familyOf(subnet) === 4 ? '' : '6'}: ${text(subnet)}`);
  lines.push(`  vtep_mac_oui: ${text(vtepMACOUI)}`);
  lines.push(networks.length === 0 ? '  overlays: []' : '  overlays:');
  const byName = networks.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const network of byName) lines.push(...overlayLines(network, lost));
  return { text: `${lines.join('\n')}\n`, lost };
}

function overlayLines({ metadata, spec }: OverlayNetwork, lost: string[]): string[] {
  const { name } = metadata;
  const miss = (what: string) => lost.push(`network ${name}: ${what}`);
  const lines = [`    - name: ${text(name)}`];
  for (const family of [4, 6] as const) {
    const [first, ...more] = spec.subnets.filter(({ cidr }) => familyOf(cidr) === family);
    if (first === undefined) continue;
    const six = family === 4 ? '' : '6';
    lines.push(`      subnet${six}: ${text(first.cidr)}`, `      prefix${six}: ${first.prefix}`);
    for (const { cidr } of more) miss(`the further subnet ${cidr} is left out; DC/OS has one of each family`);
    if (first.state === 'Draining') miss(`${first.cidr} is Draining; DC/OS does not know that`);
  }
  if (!spec.enabled) lines.push('      enabled: false');
  if (spec.containerizers.length === 1) miss(`spec.containerizers is ${spec.containerizers.join()} alone`);
  const others = ['nodeSelector', 'namespaceSelector', 'isolation', 'warnAt', 'deletionPolicy'] as const;
  for (const field of others) if (spec[field] !== undefined) miss(`spec.${field} has no counterpart`);
  return lines;
}

/** Quotes a string, so that no reader takes digits for a number. */
const text = (value: string): string => JSON.stringify(value);
