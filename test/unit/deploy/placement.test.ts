import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  spec?: {
    hard?: Record<string, string>;
    scopeSelector?: { matchExpressions: { scopeName: string; values: string[] }[] };
    template?: { spec: Pod };
  };
}

interface Pod {
  priorityClassName?: string;
  nodeSelector?: Record<string, string>;
  affinity?: {
    nodeAffinity?: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: { matchExpressions: unknown[] }[];
      };
    };
  };
}

const manifests = ['system/agent', 'system/operator', 'system/namespace', 'cleanup/cleanup'].flatMap((name) =>
  parseAllDocuments(
    readFileSync(fileURLToPath(new URL(`../../../deploy/${name}.yaml`, import.meta.url)), 'utf8'),
  ).map((document) => document.toJS() as Manifest),
);
const pods = manifests.flatMap(({ kind, metadata, spec }) =>
  spec?.template === undefined ? [] : [{ kind, metadata, pod: spec.template.spec }],
);

test('all run on Linux alone', () => {
  expect(pods).toHaveLength(3);
  for (const { pod } of pods) expect(pod.nodeSelector).toEqual({ 'kubernetes.io/os': 'linux' });
});

test('what runs on every node does not run on virtual ones', () => {
  const ofNodes = pods.filter(({ kind }) => kind === 'DaemonSet');
  expect(ofNodes).toHaveLength(2);
  for (const { pod } of ofNodes) {
    const { nodeSelectorTerms } = pod.affinity!.nodeAffinity!.requiredDuringSchedulingIgnoredDuringExecution;
    expect(nodeSelectorTerms).toEqual([
      {
        matchExpressions: [
          { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] },
          { key: 'eks.amazonaws.com/compute-type', operator: 'NotIn', values: ['fargate'] },
        ],
      },
    ]);
  }
});

test('each priority of the system that a pod of ours has is in a quota of its namespace', () => {
  const critical = pods.filter(({ pod }) => pod.priorityClassName?.startsWith('system-') === true);
  expect(critical).toHaveLength(2);
  for (const { metadata, pod } of critical) {
    const quotas = manifests.filter(
      (one) => one.kind === 'ResourceQuota' && one.metadata.namespace === metadata.namespace,
    );
    const classes = quotas.flatMap(({ spec }) =>
      spec!.scopeSelector!.matchExpressions.flatMap(({ values }) => values),
    );
    expect(classes).toContain(pod.priorityClassName);
    expect(quotas.map(({ spec }) => spec?.hard)).toEqual([{ pods: '1G' }]);
  }
});
