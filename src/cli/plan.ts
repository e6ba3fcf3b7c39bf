import type { Forecast, NetworkForecast, TakenBlock } from '../allocate/forecast.ts';
import type { ReservationForecast } from '../allocate/reservationforecast.ts';
import type { View } from '../allocate/view.ts';
import { counted, listed } from '../api/text.ts';
import type { KubeObject, OverlayConfig, OverlayNetwork, OverlayReservation } from '../api/types.ts';
import { overlayConfigs, overlayNetworks, overlayReservations } from '../kube/resources.ts';
import type { Client } from '../kube/client.ts';
import type { Access } from './access.ts';
import { clusterView } from './clusterview.ts';
import { changesOf } from './difference.ts';
import { dryRun } from './dryrun.ts';
import { CommandFailure } from './failure.ts';
import { fewAtOnce } from './few.ts';
import { readManifests, type Manifest } from './manifest.ts';
import type { Output } from './output.ts';
import { coloured, harmless, harmlessJSON } from './text.ts';

export interface PlanOptions {
  filename: string[];
  serverSide?: boolean;
  output?: 'json';
}

/** The judgement of `plan` about one object. */
interface Planned {
  /** `OverlayNetwork dcos` */
  about: string;
  does: 'Create' | 'Change' | 'Nothing';
  /** Who refuses it, and why. */
  refused: string | undefined;
  /** `spec.subnets[9.1.0.0/16]: added …` */
  changes: string[];
  network: NetworkForecast | undefined;
  reservation: ReservationForecast | undefined;
  warnings: string[];
}

interface Whole extends Pick<Forecast, 'taken' | 'moved' | 'others'> {
  objects: Planned[];
  passedOver: string[];
  unknown: string[];
}

/**
 * `plan`.
 * @returns 0 if there is no problem; 1 if something is refused or a warning is given; 3 if it removes something
 */
export async function planCommand(access: Access, options: PlanOptions, out: Output): Promise<number> {
  const { objects, passedOver } = await readManifests(options.filename);
  const whole = await access.api((client) =>
    planned(client, objects, { serverSide: options.serverSide === true, namespace: access.namespace }, out),
  );
  const all: Whole = { ...whole, passedOver };
  const exit = exitOf(all);
  if (options.output === 'json') out.line(harmlessJSON({ ...all, takesAway: exit === 3 }));
  else show(all, exit, out);
  for (const one of all.unknown) out.warn(`not known: ${one}`);
  return exit;
}

type Run = Awaited<ReturnType<typeof dryRun>>;

async function planned(
  client: Client,
  manifests: readonly Manifest[],
  dry: { serverSide: boolean; namespace: string },
  out: Output,
): Promise<Omit<Whole, 'passedOver'>> {
  const runs = await dryRuns(client, manifests, dry, out);
  const { forecast } = await import('../allocate/forecast.ts');
  const { rehearse, Restless } = await import('../allocate/rehearse.ts');
  const { view, pods, used, unknown } = await clusterView(client);
  const next = applied(view, runs);
  const names = (kind: string) =>
    runs.flatMap(({ manifest: { resource, object }, run }) =>
      resource.kind === kind && 'after' in run ? [object.metadata.name] : [],
    );
  try {
    const outcome = forecast(rehearse({ ...view, config: view.config ?? next.config }), rehearse(next), {
      names: names(overlayNetworks.kind),
      reserving: names(overlayReservations.kind),
      used,
      pods,
    });
    return { ...outcome, objects: runs.map((one) => plannedOf(one.manifest, one.run, outcome)), unknown };
  } catch (error) {
    if (error instanceof Restless)
      throw new CommandFailure(
        `what an operator would do could not be worked out: ${error.message}`,
        'is an operator running, and is there an OverlayConfig? kubectl overlay status, kubectl get overlayconfigs',
        error,
      );
    throw error;
  }
}

/** Dry runs of all objects. An import of a large cluster has thousands of reservations. */
function dryRuns(
  client: Client,
  manifests: readonly Manifest[],
  { serverSide, namespace }: { serverSide: boolean; namespace: string },
  out: Output,
): Promise<{ manifest: Manifest; run: Run }[]> {
  return fewAtOnce(manifests, atOnce, async (manifest, at) => {
    if (at > 0 && at % mostQuiet === 0) out.note(`dry runs: ${at} of ${manifests.length} …`);
    return { manifest, run: await dryRun(client, manifest, serverSide, namespace) };
  });
}

/** Dry runs that are under way at the same time. */
const atOnce = 8;
/** More objects than that take so long that the user sees how far it is. */
const mostQuiet = 100;

/** The cluster with what the API server would store. */
function applied(view: View, runs: readonly { manifest: Manifest; run: Run }[]): View {
  const of = <T extends KubeObject>(kind: string): T[] =>
    runs.flatMap(({ manifest, run }) =>
      manifest.resource.kind === kind && 'after' in run ? [run.after as T] : [],
    );
  const [config = view.config] = of<OverlayConfig>(overlayConfigs.kind);
  const networks = of<OverlayNetwork>(overlayNetworks.kind);
  const reservations = of<OverlayReservation>(overlayReservations.kind);
  const names = new Set(networks.map(({ metadata }) => metadata.name));
  return {
    ...view,
    config,
    networks: [...view.networks.filter(({ metadata }) => !names.has(metadata.name)), ...networks],
    reservations: new Map([
      ...view.reservations,
      ...reservations.map((one) => [one.metadata.name, one] as const),
    ]),
  };
}

function plannedOf({ about, resource, object }: Manifest, run: Run, outcome: Forecast): Planned {
  const does = run.before === undefined ? 'Create' : 'Change';
  const nothing = { changes: [], network: undefined, reservation: undefined, warnings: [] };
  if ('refusal' in run) return { about, does, refused: `by the API server: ${run.refusal}`, ...nothing };
  const changes = changesOf(specOf(run.before), specOf(run.after));
  const mine = ({ name }: { name: string }) => name === object.metadata.name;
  const network = resource.kind === overlayNetworks.kind ? outcome.networks.find(mine) : undefined;
  const reservation =
    resource.kind === overlayReservations.kind ? outcome.reservations.find(mine) : undefined;
  const { refusal, warnings } = network ?? reservation ?? outcome.config;
  return {
    about,
    does: changes.length === 0 && run.before !== undefined ? 'Nothing' : does,
    refused: refusal && `by the operator: ${refusal.reason}: ${refusal.message}`,
    changes: run.before === undefined ? [] : changes,
    network,
    reservation,
    warnings,
  };
}

/** The fields that a user writes besides the name. */
const specOf = (object: KubeObject | undefined): unknown => (object as { spec?: unknown } | undefined)?.spec;

const takenOf = ({ objects, taken }: Whole): TakenBlock[] => [
  ...objects.flatMap(({ network }) => network?.taken ?? []),
  ...taken,
];

function exitOf(whole: Whole): number {
  const { objects, moved, others } = whole;
  const goes = objects.some(({ network }) => network?.drains.some((one) => one.goes) === true);
  if (takenOf(whole).length + moved.length > 0 || goes) return 3;
  const worries = objects.some(
    ({ refused, warnings, network, reservation }) =>
      refused !== undefined ||
      warnings.length + (network?.waiting.length ?? 0) + (reservation?.waiting.length ?? 0) > 0,
  );
  return worries || others.length > 0 ? 1 : 0;
}

function show(whole: Whole, exit: number, out: Output): void {
  const bad = (text: string) => (out.colours ? coloured(harmless(text), 'bad') : harmless(text));
  const odd = (text: string) => (out.colours ? coloured(harmless(text), 'odd') : harmless(text));
  const line = (text: string) => {
    out.line(`  ${text}`);
  };
  for (const { about, does, refused, changes, network, reservation, warnings } of whole.objects) {
    out.line(harmless(`${about}: ${words[does]}`));
    if (refused !== undefined) line(bad(`REFUSED ${refused}`));
    else line('accepted');
    for (const one of changes) line(harmless(one));
    if (network !== undefined) for (const text of roomOf(network)) line(harmless(text));
    if (network !== undefined && network.waiting.length > 0)
      line(bad(`NO BLOCK for ${counted(network.waiting.length, 'node')}: ${named(network.waiting)}`));
    for (const { cidr, nodes, used, goes } of network?.drains ?? [])
      line(
        (goes ? bad : odd)(
          `DRAINS ${cidr}: ${counted(nodes, 'node')} hold blocks of it, ${counted(used, 'address', 'addresses')} are used; ` +
            (goes ? 'it is TAKEN AWAY once no container uses it' : 'containers keep what they have'),
        ),
      );
    for (const text of takenWords(network?.taken ?? [])) line(bad(text));
    for (const text of reservation === undefined ? [] : keptWords(reservation)) line(harmless(text));
    for (const { text, message } of reservation?.waiting ?? []) line(odd(`WAITS ${text}: ${message}`));
    for (const text of warnings) line(odd(`WARNING ${text}`));
  }
  for (const text of takenWords(whole.taken)) out.line(bad(text));
  if (whole.moved.length > 0) {
    const each = whole.moved.map(({ node, from, to }) => `${node} ${from} to ${to === '' ? 'none' : to}`);
    out.line(bad(`TAKES AWAY tunnels’ ends of ${counted(each.length, 'node')}: ${named(each)}`));
  }
  for (const text of whole.others) out.line(odd(`WARNING ${text}`));
  for (const one of whole.passedOver) out.line(harmless(`${one}: passed over, it is not overlaynet’s`));
  out.line('');
  out.line(verdicts[exit] ?? '');
}

const words = { Create: 'create', Change: 'change', Nothing: 'no change' };
const verdicts: Record<number, string> = {
  0: 'no problem found; nothing was changed',
  1: 'READ THE LINES IN CAPITALS before you apply it; nothing was changed',
  3: 'IT WOULD TAKE SOMETHING AWAY; nothing was changed',
};

function roomOf({ subnets, nodes, given }: NetworkForecast): string[] {
  const others = nodes.others > 0 ? `, and ${counted(nodes.others, 'Node')} without an agent` : '';
  return [
    ...subnets.map(({ cidr, prefix, state, room, containers }) => {
      const each = containers.map(({ containerizer, addresses }) => `${addresses} of ${containerizer}`);
      return (
        `${cidr} in /${prefix}s: ${counted(room, 'node')}; you have ${nodes.registered}${others}; ` +
        `containers per node: ${each.join(' and ')}${state === 'Draining' ? '; it drains' : ''}`
      );
    }),
    ...(given > 0 ? [`gives ${counted(given, 'block')} to nodes`] : []),
  ];
}

function keptWords({ node, isThere, reserved, held }: ReservationForecast): string[] {
  const whom =
    node === ''
      ? 'the Node that registers with its address'
      : `node ${node}${isThere ? '' : ', which does not exist yet'}`;
  return [
    ...(held.length > 0 ? [`node ${node} has ${held.join(' and ')} already`] : []),
    ...(reserved.length > 0 ? [`reserves ${reserved.join(' and ')} for ${whom}`] : []),
  ];
}

function takenWords(taken: readonly TakenBlock[]): string[] {
  const networks = new Map<string, TakenBlock[]>();
  for (const one of taken) networks.set(one.network, [...(networks.get(one.network) ?? []), one]);
  return [...networks].map(([network, blocks]) => {
    const used = blocks.reduce((all, one) => all + one.used, 0);
    const each = blocks.map(({ node, cidr }) => `${cidr} of ${node}`);
    return `TAKES AWAY ${counted(blocks.length, 'block')} of network ${network}, of which ${counted(used, 'address', 'addresses')} are used: ${named(each)}`;
  });
}

const mostNamed = 8;
const named = (all: readonly string[]): string => listed(all, mostNamed);
