import { readFileSync, writeFileSync } from 'node:fs';
import { reference } from '../../hack/testbed/reference.ts';
import { overlayReservations } from '../../src/kube/resources.ts';
import { PlayedAgents } from './agents.ts';
import type { Bed } from './bed.ts';
import { typed } from './commands.ts';
import { Sample } from './sample.ts';
import { Run } from './scale.ts';
import { ms, quantile, type Figure } from './table.ts';

const port = 9180;
const joins = 30;
/** In ms: what reservations may add to a join. */
const mostMore = 50;

/** A cluster that comes over from DC/OS with so many agents: the import, their nodes' arrival, and nodes that come later. */
export async function reserved(bed: Bed, nodes: number): Promise<Figure[]> {
  const agents = new PlayedAgents(bed);
  await bed.operator('first', port).leads;
  const at = `${nodes} agents of DC/OS`;
  const imported = await bringOver(bed, nodes);
  const figures: Figure[] = [
    { what: `${at}: kubectl overlay import --apply`, measured: ms(imported), bound: '', ok: true },
  ];
  const run = new Run(bed, agents, { nodes, networks: 2 });
  const start = performance.now();
  await bed.register(0, nodes);
  const took = (await agents.all(nodes, 2)) - start;
  await run.rest();
  const kept = bed.allocations.list().filter(({ metadata: { name }, spec }) => {
    const number = Number(name.slice('node-'.length));
    const shown = spec.networks?.flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)) ?? [];
    return shown.includes(blockOf(number)) && spec.vtep?.mac === macOf(number);
  }).length;
  figures.push({
    what: `${at}: their nodes register, and ${kept} keep VTEP, MAC and blocks`,
    measured: ms(took),
    bound: '',
    ok: kept === nodes,
  });
  const withThem = await joined(bed, run);
  await bed.plane.kubectl('delete', overlayReservations.plural, '--all', '--wait=false');
  await run.rest();
  const without = await joined(bed, run);
  const pair = (value: (one: Joined) => string) => `${value(withThem)}, ${value(without)}`;
  const more = withThem.p50 - without.p50;
  const pages = Math.ceil(nodes / 500);
  figures.push(
    {
      what: `one join at rest beside ${nodes} bound reservations, and beside none: p50 of ${joins}`,
      measured: pair(({ p50 }) => ms(p50)),
      bound: `${mostMore} ms more`,
      ok: more <= mostMore,
    },
    {
      what: `one plan of these: mean`,
      measured: pair(({ planMs }) => ms(planMs)),
      bound: '50 ms',
      ok: withThem.planMs <= 50,
    },
    {
      what: `lists of OverlayReservations per join (of ${pages} pages, and of one)`,
      measured: `${(withThem.requests / pages).toFixed(1)}, ${without.requests.toFixed(1)}`,
      // a watch that ends begins with one
      bound: '1.5',
      ok: withThem.requests / pages <= 1.5,
    },
  );
  return figures;
}

interface Joined {
  p50: number;
  planMs: number;
  /** Requests for pages of OverlayReservations, per join. */
  requests: number;
}

async function joined(bed: Bed, run: Run): Promise<Joined> {
  const before = await Sample.take(bed, port);
  const times: number[] = [];
  for (let at = 0; at < joins; at++) {
    times.push(await run.join(2));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await run.rest();
  const after = await Sample.take(bed, port);
  return {
    p50: quantile(times, 0.5),
    planMs: after.plans(before).meanMs,
    requests: after.reservationLists(before) / joins,
  };
}

/** Types the import of a cluster of so many agents. @returns how long it took, in ms */
async function bringOver(bed: Bed, agents: number): Promise<number> {
  const [config, state] = [bed.file('config.yaml'), bed.file('state.json')];
  writeFileSync(config, configText);
  writeFileSync(state, stateOf(agents));
  const args = ['import', '--config', config, '--state', state, '--apply'];
  const { code, took, stderr } = await typed(args, { KUBECONFIG: bed.plane.kubeconfig });
  if (code !== 0) throw new Error(`the import failed: ${stderr}`);
  return took;
}

const configText = `dcos_overlay_enable: true
dcos_overlay_network:
  vtep_subnet: 44.128.0.0/20
  vtep_subnet6: fd01:a::/64
  vtep_mac_oui: 70:B3:D5:00:00:00
  overlays:
    - name: dcos
      subnet: 9.0.0.0/8
      prefix: 24
    - name: dcos6
      subnet6: fd01:b::/64
      prefix6: 80
`;

const blockOf = (number: number) => `9.${number >> 8}.${number & 255}.0/24`;
const hex = (value: number) => value.toString(16);
/** As older clusters have it: it does not follow from the VTEP's address. */
const macOf = (number: number) =>
  `70:b3:d5:00:${hex(number >> 8).padStart(2, '0')}:${hex(number & 255).padStart(2, '0')}`;

/** The state document of a cluster of so many agents, at the addresses of the bench's nodes. */
function stateOf(count: number): string {
  const { network } = JSON.parse(readFileSync(reference, 'utf8')) as { network: unknown };
  const agents = Array.from({ length: count }, (_, number) => {
    const index = number + 1;
    const vxlan = {
      ...{ vni: 1024, vtep_name: 'vtep1024', vtep_mac: macOf(number) },
      vtep_ip: `44.128.${index >> 8}.${index & 255}/20`,
      vtep_ip6: `fd01:a::${hex(index)}/64`,
    };
    const overlay = (name: string, blocks: object) => ({
      ...{ backend: { vxlan }, info: { name }, state: { status: 'STATUS_OK' } },
      ...{ mesos_bridge: { name: `m-${name}` }, docker_bridge: { name: `d-${name}` } },
      ...blocks,
    });
    return {
      ip: `172.18.${number >> 8}.${number & 255}`,
      overlays: [
        overlay('dcos', { subnet: blockOf(number) }),
        overlay('dcos6', { subnet6: `fd01:b:0:0:${hex(number)}::/80` }),
      ],
    };
  });
  return JSON.stringify({ agents, network });
}
