import { namePattern } from '../net/name.ts';

/** What the CNI plugin asks for one container: the body of `POST /v1/networks`. */
export interface Ask {
  containerID: string;
  /** Name of the first interface. */
  ifname: string;
  /** From the runtime's arguments; absent outside Kubernetes, like `pod`. */
  namespace?: string;
  pod?: string;
  /** The pod's annotation `overlaynet.dev/network`, whatever someone wrote there; an empty one is none. */
  annotation?: string;
  /** The pod's annotations were handed over, so that no `annotation` means none. Else the agent has to ask for the pod. */
  annotated?: boolean;
  /** The one network of the conflist that the container came by. */
  network?: string;
}

/** Why a container gets no network, as CNI has errors. Its runtime shows `msg; details` to the user. */
export interface Refusal {
  /** 11: try again later (CNI's own). 100 to 104: see `refusals`. */
  code: number;
  msg: string;
  details?: string;
}

/** Our codes; the plugin adds 105 for a subnet that is full. */
export const refusals = {
  tryAgain: 11,
  unknown: 100,
  notInForce: 101,
  forbidden: 102,
  notHere: 103,
  badRequest: 104,
} as const;

/** Each optional field's rule; they come from outside and go into messages and requests. The plugin has the same for pods. */
const rules: { field: 'namespace' | 'pod' | 'network'; pattern: RegExp; rule: string }[] = [
  { field: 'namespace', pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, rule: 'a DNS label' },
  { field: 'pod', pattern: /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/, rule: 'a DNS subdomain' },
  { field: 'network', pattern: namePattern, rule: "a network's name" },
];

/** The question in that text, or why it is none. Fields that it does not know are for a newer agent. */
export function parseAsk(body: string): Ask | Refusal {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return bad('the request is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return bad('the request is no object');
  const fields = value as Record<string, unknown>;
  for (const field of ['containerID', 'ifname', 'namespace', 'pod', 'annotation', 'network']) {
    const text = fields[field];
    if (text !== undefined && typeof text !== 'string') return bad(`${field} is not text`);
  }
  if (fields.annotated !== undefined && typeof fields.annotated !== 'boolean')
    return bad('annotated is neither true nor false');
  const {
    containerID = '',
    ifname = '',
    namespace,
    pod,
    annotation,
    annotated,
    network,
  } = fields as Partial<Ask>;
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,252}$/.test(containerID)) {
    return bad(`containerID ${shown(containerID)} is none: letters, digits, "_", "." and "-"`);
  }
  if (!/^[^/:\s]{1,15}$/.test(ifname) || ifname === '.' || ifname === '..') {
    return bad(
      `ifname ${shown(ifname)} is no name of an interface: at most 15 characters, no "/", ":" or space`,
    );
  }
  for (const { field, pattern, rule } of rules) {
    // outside Kubernetes a container's name may come in place of a pod's
    if (field === 'pod' && !present(namespace)) continue;
    const text = { namespace, pod, network }[field];
    // outside Kubernetes runtimes give empty arguments
    if (text !== undefined && text !== '' && !pattern.test(text)) {
      return bad(`${field} ${shown(text)} is not ${rule}`);
    }
  }
  return {
    containerID,
    ifname,
    ...(present(namespace) ? { namespace } : {}),
    ...(present(namespace) && present(pod) ? { pod } : {}),
    ...(present(network) ? { network } : {}),
    ...(present(annotation) ? { annotation } : {}),
    ...(annotated === true ? { annotated } : {}),
  };
}

/** Text of someone else's in a message: quoted, ASCII on one line, and not long. */
export function shown(text: string): string {
  const short = JSON.stringify(text.length <= 64 ? text : `${text.slice(0, 61)}...`);
  return short.replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const present = (text: string | undefined): text is string => text !== undefined && text !== '';

const bad = (msg: string): Refusal => ({ code: refusals.badRequest, msg });
