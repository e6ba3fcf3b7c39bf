import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailed } from '../../hack/parts/command.ts';
import type { Parts } from '../../hack/parts.ts';
import { commandInNode } from '../../hack/testbed/containers.ts';
import { lab, onNode } from './lab.ts';

/** A pod as a runtime passes it to the CNI: a network namespace of that name in a node of the lab. */
export interface Pod {
  node: string;
  name: string;
  namespace?: string;
  annotation?: string;
}

const plugins = () => (JSON.parse(readFileSync(join(lab.dir, 'parts.json'), 'utf8')) as Parts).cni;

/** Runs the cluster's whole default conflist, as a runtime does. */
function cnitool(verb: 'add' | 'del' | 'check' | 'status', pod: Pod): Promise<string> {
  const { node, name, namespace = 'default', annotation } = pod;
  const annotations = annotation === undefined ? {} : { 'overlaynet.dev/network': annotation };
  const env = {
    ...process.env,
    NETCONFPATH: '/etc/cni/net.d',
    CNI_PATH: plugins(),
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=u-${name}`,
    CAP_ARGS: JSON.stringify({ 'io.kubernetes.cri.pod-annotations': annotations }),
  };
  const argv = [join(plugins(), 'cnitool'), verb, 'overlaynet.dev', `/var/run/netns/${name}`];
  return commandInNode(lab, node, argv, env);
}

/** Makes its namespace. */
export const makePod = ({ node, name }: Pod) => onNode(node, 'ip', 'netns', 'add', name);

/** Joins it to its networks. Returns its addresses, the first interface's first, or the error. */
export async function joinPod(pod: Pod): Promise<{ addresses: string[] } | { error: string }> {
  try {
    const result = JSON.parse(await cnitool('add', pod)) as { ips?: { address: string }[] };
    return { addresses: (result.ips ?? []).map(({ address }) => address.replace(/\/.*/, '')) };
  } catch (error) {
    // cnitool writes the error to standard output or standard error
    if (error instanceof CommandFailed) return { error: error.stderr.trim() };
    throw error;
  }
}

export const leavePod = (pod: Pod) => cnitool('del', pod);

/** Runs STATUS, as a runtime does before it starts pods. */
export const statusOf = (node: string) => cnitool('status', { node, name: 'none' });

/** Removes its namespace with everything in it. */
export const dropPod = ({ node, name }: Pod) => onNode(node, 'ip', 'netns', 'del', name);

/** Frees what stopped containers left, as a starting agent does. */
export async function sweepNode(node: string): Promise<{ freed: string[]; kept: number }> {
  const output = await onNode(node, join(plugins(), 'overlaynet'), 'sweep');
  return JSON.parse(output) as { freed: string[]; kept: number };
}

/** Returns the ports, leases and records of a node's containers. */
export async function heldBy(node: string): Promise<string[]> {
  const script =
    'ip -br link | grep -o "^c-[0-9a-f]*"; cd /var/lib && ls -d cni/networks/*/*[.:]* overlaynet/attachments/*.json';
  const output = await onNode(node, 'sh', '-c', `${script} 2>/dev/null | grep -v last_reserved_ip; true`);
  return output.split('\n').filter((line) => line !== '');
}
