import {
  apiVersion,
  type AgentAllocation,
  type AllocationLedger,
  type KubeObject,
  type ObjectMeta,
  type OverlayAgent,
  type OverlayConfig,
  type OverlayNetwork,
  type OverlayReservation,
} from '../api/types.ts';

/** Where objects of type T live in the API. */
export interface Resource<T extends KubeObject> {
  /** `v1` or `group/version`. */
  apiVersion: string;
  plural: string;
  kind: string;
  /** For a namespaced kind, the one namespace that is read. */
  namespace?: string;
  /** Fetches PartialObjectMetadata: neither spec nor status. */
  metadataOnly?: boolean;
  /** Objects in one page of a list, set where the usual number would be too much text at once. */
  pageSize?: number;
  /** Never set. It ties T to the value, so that T is inferred. */
  object?: T;
}

export interface Node extends KubeObject {
  spec?: { podCIDRs?: string[] };
  status?: {
    addresses?: { type: string; address: string }[];
    /** Quantities. */
    allocatable?: { pods?: string };
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

/** coordination.k8s.io/v1; times are metav1.MicroTime, `2026-01-01T00:00:00.000000Z`. */
export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

export interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** core/v1 */
export interface Event extends KubeObject {
  metadata: ObjectMeta & { namespace: string };
  involvedObject: { apiVersion?: string; kind?: string; name: string; namespace?: string; uid?: string };
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
  source: { component: string; host: string };
  reportingComponent: string;
  reportingInstance: string;
}

/** discovery.k8s.io/v1 */
export interface EndpointSlice extends KubeObject {
  endpoints?: { addresses: string[] }[] | null;
  ports?: { port?: number }[] | null;
}

const ours = <T extends KubeObject>(kind: string, plural: string): Resource<T> => ({
  apiVersion,
  kind,
  plural,
});

export const overlayConfigs = ours<OverlayConfig>('OverlayConfig', 'overlayconfigs');
export const overlayNetworks = ours<OverlayNetwork>('OverlayNetwork', 'overlaynetworks');
export const overlayReservations = ours<OverlayReservation>('OverlayReservation', 'overlayreservations');
export const overlayAgents = ours<OverlayAgent>('OverlayAgent', 'overlayagents');
export const agentAllocations = ours<AgentAllocation>('AgentAllocation', 'agentallocations');
/** Small pages, because one ledger of 256 blocks is 45 KB of JSON. */
export const allocationLedgers: Resource<AllocationLedger> = {
  ...ours<AllocationLedger>('AllocationLedger', 'allocationledgers'),
  pageSize: 50,
};

export const nodes: Resource<Node> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes' };
export const nodeMetadata: Resource<KubeObject> = {
  apiVersion: 'v1',
  kind: 'Node',
  plural: 'nodes',
  metadataOnly: true,
};

export const namespaceMetadata: Resource<KubeObject> = {
  apiVersion: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  metadataOnly: true,
};

export const definitions: Resource<KubeObject> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  metadataOnly: true,
};

/** core/v1 */
export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

export const configMaps = (namespace: string): Resource<ConfigMap> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespace,
});

/** Where operators publish the certificates that they show, one a key. */
export const operatorConfigMap = 'overlaynet-operator';

export const podMetadata = (namespace: string): Resource<KubeObject> => ({
  apiVersion: 'v1',
  kind: 'Pod',
  plural: 'pods',
  namespace,
  metadataOnly: true,
});

/** core/v1, as far as one looks for a pod that serves. */
export interface Pod extends KubeObject {
  metadata: ObjectMeta & { namespace?: string };
  spec?: {
    nodeName?: string;
    hostNetwork?: boolean;
    initContainers?: { name: string }[];
    containers?: { name: string }[];
  };
  status?: {
    phase?: string;
    podIPs?: { ip: string }[];
    conditions?: { type: string; status: string }[];
    containerStatuses?: { name: string; restartCount: number }[];
  };
}

/** @param namespace absent: of all, to be listed */
export const pods = (namespace?: string): Resource<Pod> => ({
  apiVersion: 'v1',
  kind: 'Pod',
  plural: 'pods',
  ...(namespace === undefined ? {} : { namespace }),
});

/** Of all namespaces; names alone. */
export const networkPolicies: Resource<KubeObject> = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  metadataOnly: true,
};

/** networking.k8s.io/v1, of Kubernetes 1.33 and later: ranges that Services get their addresses from. */
interface ServiceCIDR extends KubeObject {
  spec?: { cidrs?: string[] };
}

export const serviceCIDRs: Resource<ServiceCIDR> = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
};

/** core/v1 */
interface Service extends KubeObject {
  spec?: { clusterIPs?: string[] };
}

export const services = (namespace: string): Resource<Service> => ({
  apiVersion: 'v1',
  kind: 'Service',
  plural: 'services',
  namespace,
});

export const daemonSets: Resource<KubeObject> = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  metadataOnly: true,
};

export const leases = (namespace: string): Resource<Lease> => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespace,
});

export const endpointSlices = (namespace: string): Resource<EndpointSlice> => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  namespace,
});

export const events = (namespace: string): Resource<Event> => ({
  apiVersion: 'v1',
  kind: 'Event',
  plural: 'events',
  namespace,
});

/** All kinds of overlaynet. */
export const ownKinds: readonly Resource<KubeObject>[] = [
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  overlayAgents,
  agentAllocations,
  allocationLedgers,
];

/** The path of an object in the API: `/apis/overlaynet.dev/v1alpha1/overlaynetworks/dcos/status`. */
export const pathOf = (resource: Resource<KubeObject>, name?: string, subresource?: string): string =>
  [
    resource.apiVersion.includes('/') ? '/apis' : '/api',
    resource.apiVersion,
    ...(resource.namespace === undefined ? [] : ['namespaces', encodeURIComponent(resource.namespace)]),
    resource.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join('/');
