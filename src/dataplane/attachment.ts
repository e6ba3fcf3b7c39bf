import { isAddress } from '../net/address.ts';
import { portPattern } from '../net/name.ts';
import { messageOf } from '../error.ts';

/**
 * One container's stay on our networks, as the CNI plugin records it: before anything is made, until everything is
 * removed.
 */
export interface Attachment {
  version: 1;
  /** Name of the conflist that the runtime used. */
  conflist: string;
  containerID: string;
  /** The first interface's name, as the runtime asked for it. */
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

/** The CNI plugin's records in `<stateDir>/attachments`. */
export interface Attachments {
  attachments: Attachment[];
  /** Files that could not be parsed, one phrase each. */
  problems: string[];
}

type Raw<T> = { [K in keyof T]?: unknown };

/** Parses a record, or says why the text is not one. */
export function parseAttachment(text: string): Attachment | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return messageOf(error);
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

/** Parses an interface. Every value is checked, because it becomes part of commands to the kernel. */
function parseInterface(value: unknown): AttachedInterface | string {
  const { network, name, host, mac = '', bridge, addresses } = (value ?? {}) as Raw<AttachedInterface>;
  if (!isText(network) || !isText(name) || !isText(bridge)) {
    return 'network, name or bridge of an interface is missing';
  }
  if (!isText(host) || !portPattern.test(host))
    return `an interface's host "${String(host)}" is not one of ours`;
  if (typeof mac !== 'string' || !/^([0-9a-f]{2}(:[0-9a-f]{2}){5})?$/.test(mac)) {
    return `the mac of ${host} is no hardware address`;
  }
  const list: unknown = addresses ?? [];
  if (!isAddresses(list)) return `an address of ${host} is invalid`;
  return { network, name, host, mac, bridge, addresses: list };
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

const isAddresses = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((text) => isText(text) && isAddress(text));
