import type { AgentAllocation, AllocationLedger, KubeObject, OverlayConfig } from '../../../src/api/types.ts';
import {
  agentAllocations,
  allocationLedgers,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
} from '../../../src/kube/resources.ts';

/** The rules of one of our kinds that the allocation's safety depends on. */
export interface Rules {
  /** The status is a subresource: update keeps it, and updateStatus keeps the rest. */
  status: boolean;
  /** A PUT without resourceVersion is refused, as for all custom resources. */
  unconditional: boolean;
  defaults?: (object: KubeObject) => void;
  /** Returns the message of the CRD's rule that refuses the object, or undefined. */
  refusal?: (object: KubeObject, old: KubeObject | undefined) => string | undefined;
}

/** Blocks a page: 256 in the CRD. Simulations use smaller pages, so that small clusters need several. */
export const crdPageSize = 256;

function allocationRefusal(object: AgentAllocation, old: AgentAllocation | undefined): string | undefined {
  const { spec } = object;
  if (old === undefined && (spec.vtep !== undefined || (spec.networks?.length ?? 0) > 0)) {
    return 'spec: vtep and networks must be absent when an AgentAllocation is created';
  }
  if (old !== undefined && spec.revision < old.spec.revision) {
    return `spec.revision: revision ${spec.revision} must not be lower than the present ${old.spec.revision}`;
  }
  return undefined;
}

function ledgerRefusal(
  { metadata, spec: { index, page } }: AllocationLedger,
  old: AllocationLedger | undefined,
  pageSize: number,
): string | undefined {
  if ((index === undefined) === (page === undefined))
    return 'spec: exactly one of index and page must be given';
  if ((metadata.name === 'spaces') !== (index !== undefined)) {
    return `spec.index must be in the object named spaces, and there alone`;
  }
  const before = old?.spec.index?.nextPage;
  if (index !== undefined && before !== undefined && index.nextPage < before) {
    return `spec.index.nextPage: nextPage ${index.nextPage} must not be lower than the present ${before}`;
  }
  if (page === undefined) return undefined;
  const was = old?.spec.page;
  if (was !== undefined && (page.first !== was.first || page.space !== was.space)) {
    return 'spec.page: space and first are immutable';
  }
  if (old === undefined && page.blocks.length > 0)
    return 'spec.page.blocks: blocks must be empty when a page is created';
  const stray = page.blocks.find((block) => block.index < page.first || block.index >= page.first + pageSize);
  if (stray !== undefined)
    return `spec.page.blocks: index ${stray.index} must be one of the page's ${pageSize}`;
  if (new Set(page.blocks.map((block) => block.index)).size < page.blocks.length) {
    return 'spec.page.blocks: Duplicate value';
  }
  return undefined;
}

const configDefaults = {
  vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
  vtepMACOUI: '70:B3:D5:00:00:00',
  vni: 1024,
  port: 64000,
  underlay: 'IPv4' as const,
  defaultNetwork: 'dcos',
  reuseCooldown: '10m',
};

/** Rules by the resource's plural. Every other resource is a Node, whose schema no test depends on. */
export const rulesFor = (pageSize: number): Readonly<Record<string, Rules>> => ({
  [agentAllocations.plural]: {
    status: true,
    unconditional: false,
    refusal: (object, old) =>
      allocationRefusal(object as AgentAllocation, old as AgentAllocation | undefined),
  },
  [allocationLedgers.plural]: {
    status: false,
    unconditional: false,
    refusal: (object, old) =>
      ledgerRefusal(object as AllocationLedger, old as AllocationLedger | undefined, pageSize),
  },
  [overlayAgents.plural]: { status: true, unconditional: false },
  [overlayReservations.plural]: { status: true, unconditional: false },
  [overlayNetworks.plural]: { status: true, unconditional: false },
  [overlayConfigs.plural]: {
    status: true,
    unconditional: false,
    defaults: (object) => {
      const config = object as OverlayConfig;
      config.spec = { ...configDefaults, ...config.spec };
    },
  },
});
