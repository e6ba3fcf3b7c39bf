import { apply, get, image, kubectl } from './e2e.ts';

/** Makes a namespace for one file of tests; annotations may choose its pods' network. */
export async function makeNamespace(name: string, annotations: Record<string, string> = {}): Promise<void> {
  await kubectl(`delete namespace ${name} --ignore-not-found`);
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } });
}

export interface PodOptions {
  namespace: string;
  node?: string;
  /** Value of the annotation overlaynet.dev/network. */
  network?: string;
  labels?: Record<string, string>;
  /** Arguments of the tool; default: serve. */
  args?: string[];
  /** Further fields of its only container. */
  container?: object;
  /** Further fields of its spec. */
  spec?: object;
}

const podSpec = ({ node, args = ['serve'], container, spec }: PodOptions) => ({
  ...(node !== undefined && { nodeSelector: { 'kubernetes.io/hostname': node } }),
  terminationGracePeriodSeconds: 0,
  tolerations: [{ operator: 'Exists' }],
  containers: [{ name: 'tool', image, args, ...container }],
  ...spec,
});

const podMetadata = ({ network, labels }: PodOptions) => ({
  ...(labels && { labels }),
  ...(network !== undefined && { annotations: { 'overlaynet.dev/network': network } }),
});

export const pod = (name: string, options: PodOptions): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: options.namespace, ...podMetadata(options) },
  spec: podSpec(options),
});

/** Returns a Deployment or StatefulSet of such pods, labelled app=NAME. */
export const workload = (
  kind: 'Deployment' | 'StatefulSet',
  name: string,
  replicas: number,
  options: PodOptions,
): object => {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace: options.namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      ...(kind === 'StatefulSet' && { serviceName: name }),
      template: { metadata: podMetadata({ ...options, labels }), spec: podSpec(options) },
    },
  };
};

/** Returns a Service of the pods labelled app=NAME: port 80 to 8080, over TCP and UDP. */
export const service = (name: string, namespace: string, spec: object = {}, app = name): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: {
    selector: { app },
    ports: (['TCP', 'UDP'] as const).map((protocol) => ({
      name: protocol.toLowerCase(),
      protocol,
      port: 80,
      targetPort: 8080,
    })),
    ...spec,
  },
});

export async function ready(namespace: string, ...pods: string[]): Promise<void> {
  await kubectl(
    `wait -n ${namespace} --for=condition=Ready --timeout=60s`,
    ...pods.map((name) => `pod/${name}`),
  );
}

/** Returns a pod's addresses; the first is its podIP. */
export async function addressesOf(namespace: string, name: string): Promise<string[]> {
  const { status } = await get<{ status: { podIPs?: { ip: string }[] } }>(`-n ${namespace} pod ${name}`);
  return (status.podIPs ?? []).map(({ ip }) => ip);
}

export async function addressOf(namespace: string, name: string): Promise<string> {
  const [first] = await addressesOf(namespace, name);
  if (first === undefined) throw new Error(`pod ${namespace}/${name} has no address`);
  return first;
}

/** Returns a node's addresses as Kubernetes has them, IPv4 first. */
export async function nodeAddresses(node: string): Promise<string[]> {
  const { status } = await get<{ status: { addresses: { type: string; address: string }[] } }>(
    `node ${node}`,
  );
  return status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
}

/** Formats an address for a URL. */
export const host = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Returns the Events at the end of `kubectl describe pod`. */
export async function eventsOf(namespace: string, name: string): Promise<string> {
  const text = await kubectl(`describe -n ${namespace} pod ${name}`);
  return text.slice(text.lastIndexOf('\nEvents:'));
}

/** Returns an OverlayNetwork; `subnets` are written as `10.1.0.0/16 /24`. */
export const network = (name: string, subnets: string[], spec: object = {}): object => ({
  apiVersion: 'overlaynet.dev/v1alpha1',
  kind: 'OverlayNetwork',
  metadata: { name },
  spec: {
    subnets: subnets.map((subnet) => {
      const [cidr = '', prefix = ''] = subnet.split(' /');
      return { cidr, prefix: Number(prefix) };
    }),
    ...spec,
  },
});

/** Waits until every node has the network. */
export async function networkReady(...names: string[]): Promise<void> {
  for (const name of names) await kubectl(`wait overlaynetwork ${name} --for=condition=Ready --timeout=60s`);
}
