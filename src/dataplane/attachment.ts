import { isAddress } from '../net/address.ts';
import { portPattern } from '../net/name.ts';

/** One container's stay on our networks, as the CNI plugin writes it down: before anything of it is made, until all is gone. */
export interface Attachment {
  version: 1;
  /** Name of the conflist that it came by. */
  conflist: string;
  containerID: string;
  /** As the runtime asked for it: the first interface's name. */
  ifname: string;
  /** Path of the container's network namespace. */
  netns: string;
  /** Absent outside Kubernetes, like `pod`. */
  namespace?: string;
  pod?: string;
  /** Empty until the plugin knows them. */
  interfaces: AttachedInterface[];
}

export interface AttachedInterface {
  network: string;
  /** In the container. */
  name: string;
  /** In the node: `c-` and 12 hexadecimal digits. */
  host: string;
  /** Of the container's end; empty until it is known. */
  mac: string;
  bridge: string;
  /** RFC 5952, link-local ones too, without lengths; there before the interface is up. */
  addresses: string[];
}

/** What the CNI plugin has written down in `<stateDir>/attachments`. */
export interface Attachments {
  attachments: Attachment[];
  /** Files that could not be understood, one phrase each. */
  problems: string[];
}

type Raw<T> = { [K in keyof T]?: unknown };

/** The record in that text, or why it is none. */
export function parseAttachment(text: string): Attachment | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const record = (value ?? {}) as Raw<Attachment>;
  if (record.version !== 1) return 'its version is not 1';
  const { conflist, containerID, ifname, netns, namespace, pod, interfaces } = record;
  if (!isText(conflist) || !isText(containerID) || !isText(ifname) || !isText(netns)) {
    return 'conflist, containerID, ifname or netns is missing';
  }
  if (!Array.isArray(interfaces ?? [])) return 'interfaces is no list';
  const parsed = ((interfaces ?? []) as unknown[]).map(parseInterface);
  const wrong = parsed.find((one) => typeof one === 'string');
  if (wrong !== undefined) return wrong;
  return {
    version: 1,
    conflist,
    containerID,
    ifname,
    netns,
    ...(isText(namespace) ? { namespace } : {}),
    ...(isText(pod) ? { pod } : {}),
    interfaces: parsed.filter((one) => typeof one !== 'string'),
  };
}

/** It becomes part of what is told to the kernel: nothing but what it should be comes through. */
function parseInterface(value: unknown): AttachedInterface | string {
  const { network, name, host, mac = '', bridge, addresses } = (value ?? {}) as Raw<AttachedInterface>;
  if (!isText(network) || !isText(name) || !isText(bridge)) {
    return 'network, name or bridge of an interface is missing';
  }
  if (!isText(host) || !portPattern.test(host))
    return `an interface's host "${String(host)}" is none of ours`;
  if (typeof mac !== 'string' || !/^([0-9a-f]{2}(:[0-9a-f]{2}){5})?$/.test(mac)) {
    return `the mac of ${host} is no hardware address`;
  }
  const list: unknown = addresses ?? [];
  if (!isAddresses(list)) return `an address of ${host} is none`;
  return { network, name, host, mac, bridge, addresses: list };
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

const isAddresses = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((text) => isText(text) && isAddress(text));
