import type { KubeObject } from '../../src/api/types.ts';

interface Rule {
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
  verbs: string[];
}

interface Container {
  name: string;
  ports?: { containerPort: number }[];
  securityContext?: {
    privileged?: boolean;
    allowPrivilegeEscalation?: boolean;
    readOnlyRootFilesystem?: boolean;
    runAsUser?: number;
    capabilities?: { add?: string[]; drop?: string[] };
  };
  volumeMounts?: { name: string; readOnly?: boolean }[];
}

interface PodSpec {
  serviceAccountName?: string;
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  priorityClassName?: string;
  tolerations?: { key?: string }[];
  securityContext?: {
    runAsUser?: number;
    seLinuxOptions?: { type?: string };
    seccompProfile?: { type?: string };
  };
  initContainers?: Container[];
  containers: Container[];
  volumes?: { name: string; hostPath?: { path: string } }[];
}

export type Manifest = KubeObject & {
  metadata: { namespace?: string };
  rules?: Rule[];
  roleRef?: { kind: string; name: string };
  subjects?: { name: string }[];
  spec?: { template?: { spec: PodSpec } };
};

/**
 * Formats a rule: `get, list, watch nodes`, `create leases (coordination.k8s.io) in overlaynet-system`, `get, head
 * /metrics`
 */
function ruleText(
  { verbs, apiGroups = [], resources = [], resourceNames, nonResourceURLs }: Rule,
  in_?: string,
): string {
  const groups = apiGroups.filter((group) => group !== '');
  return [
    verbs.join(', '),
    (nonResourceURLs ?? resources).join(', '),
    ...(groups.length === 0 ? [] : [`(${groups.join(', ')})`]),
    ...(resourceNames === undefined ? [] : [`named ${resourceNames.join(', ')}`]),
    ...(in_ === undefined ? [] : [`in ${in_}`]),
  ].join(' ');
}

/** Returns a ServiceAccount's rights on the API server and on our own endpoints. */
export function rulesOf(account: string, manifests: Manifest[]): string[] {
  return manifests
    .filter(({ subjects }) => subjects?.some(({ name }) => name === account))
    .flatMap(({ roleRef, metadata }) => {
      const role = manifests.find(
        (one) =>
          one.kind === roleRef?.kind &&
          one.metadata.name === roleRef?.name &&
          (one.kind === 'ClusterRole' || one.metadata.namespace === metadata.namespace),
      );
      if (role?.rules === undefined) throw new Error(`${metadata.name} binds a role that is not there`);
      return role.rules.map((rule) => ruleText(rule, metadata.namespace));
    });
}

/** Returns the ClusterRoles without a binding, which users may bind, and their rights. */
export function offeredRoles(manifests: Manifest[]): Map<string, string[]> {
  const bound = new Set(manifests.map(({ roleRef }) => roleRef?.name));
  return new Map(
    manifests
      .filter(({ kind, metadata }) => kind === 'ClusterRole' && !bound.has(metadata.name))
      .map(({ metadata, rules = [] }) => [metadata.name, rules.map((rule) => ruleText(rule))]),
  );
}

/** Returns all subjects that bindings name. */
export const subjectsOf = (manifests: Manifest[]): Set<string> =>
  new Set(manifests.flatMap(({ subjects = [] }) => subjects.map(({ name }) => name)));

/** Returns the powers of a pod that an ordinary pod does not have, in words. */
export function powersOf(pod: PodSpec): string[] {
  const flags = { 'host network': pod.hostNetwork, 'host PIDs': pod.hostPID, 'host IPC': pod.hostIPC };
  const { seLinuxOptions, seccompProfile } = pod.securityContext ?? {};
  return [
    ...Object.entries(flags).flatMap(([name, on]) => (on === true ? [name] : [])),
    ...(pod.priorityClassName === undefined ? [] : [`priority ${pod.priorityClassName}`]),
    ...(pod.tolerations ?? []).map(({ key }) => `toleration of ${key ?? 'everything'}`),
    ...(seLinuxOptions?.type === undefined ? [] : [`SELinux type ${seLinuxOptions.type}`]),
    ...(seccompProfile?.type === 'RuntimeDefault' ? [] : ['no seccomp profile']),
    ...pod.containers.flatMap((container) => containerPowers(pod, container)),
    ...(pod.initContainers ?? []).flatMap((container) =>
      containerPowers(pod, container).map((power) => `${container.name}: ${power}`),
    ),
  ];
}

function containerPowers(pod: PodSpec, { ports, securityContext = {}, volumeMounts }: Container): string[] {
  const { privileged, allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities = {} } = securityContext;
  const user = securityContext.runAsUser ?? pod.securityContext?.runAsUser ?? 0;
  const allCapabilities =
    capabilities.drop?.includes('ALL') === true ? [] : ['capabilities of every container'];
  return [
    ...(ports ?? []).map(({ containerPort }) => `port ${containerPort}`),
    // privileged includes everything else
    ...(privileged === true
      ? ['privileged']
      : [
          ...(user === 0 ? ['user 0'] : []),
          ...(allowPrivilegeEscalation === false ? [] : ['privilege escalation']),
          ...allCapabilities,
          ...(capabilities.add ?? []).map((name) => `capability ${name}`),
        ]),
    ...(readOnlyRootFilesystem === true ? [] : ['root file system that can be written']),
    ...(volumeMounts ?? []).flatMap(({ name, readOnly }) => {
      const path = pod.volumes?.find((volume) => volume.name === name)?.hostPath?.path;
      return path === undefined ? [] : [`host's ${path}${readOnly === true ? ', read-only' : ''}`];
    }),
  ];
}
