import { readFileSync } from 'node:fs';
import { reference } from '../../hack/testbed/reference.ts';

interface State {
  agents: { ip: string; overlays: Record<string, unknown>[] }[];
  network: unknown;
}

/** Address of the agent with that number; VTEP and blocks have the same. */
export const oldAddress = (number: number): string => `172.17.1.${number}`;

/** The reference's cluster with agents of these numbers beside its own 0 to 2. Their MACs have a form of their own. */
export function biggerState(numbers: readonly number[]): string {
  const state = JSON.parse(readFileSync(reference, 'utf8')) as State;
  return JSON.stringify({ ...state, agents: [...state.agents, ...numbers.map(agent)] });
}

function agent(number: number): State['agents'][number] {
  const hex = number.toString(16);
  const six = `fd01:b:0:0:${hex}::/80`;
  const vxlan = {
    vni: 1024,
    vtep_ip: `44.128.0.${number + 1}/20`,
    vtep_ip6: `fd01:a::${(number + 1).toString(16)}/64`,
    vtep_mac: `70:b3:d5:00:0b:${hex.padStart(2, '0')}`,
    vtep_name: 'vtep1024',
  };
  const overlay = (name: string, blocks: Record<string, string>) => ({
    backend: { vxlan },
    info: { name },
    mesos_bridge: { name: `m-${name}` },
    docker_bridge: { name: `d-${name}` },
    ...blocks,
  });
  return {
    ip: oldAddress(number),
    overlays: [overlay('dcos', { subnet: `9.0.${number}.0/24` }), overlay('dcos6', { subnet6: six })],
  };
}
