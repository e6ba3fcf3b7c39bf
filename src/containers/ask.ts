import { namePattern, objectNamePattern } from '../net/name.ts';
import { shown } from '../net/text.ts';

/**
 * How long the plugin waits for an answer. `src/cni/testdata/contract.json` sets the same time for the plugin; `Budget`
 * keeps an answer below it.
 */
export const answerMs = 5_000;

/** The CNI plugin's question about one container: the body of `POST /v1/networks`. */
export interface Ask {
  containerID: string;
  /** Name of the first interface. */
  ifname: string;
  /** From the runtime's arguments; absent outside Kubernetes, like `pod`. */
  namespace?: string;
  pod?: string;
  /** The pod's annotation `overlaynet.dev/network`, unchecked; an empty one counts as none. */
  annotation?: string;
  /**
   * The pod's annotations were passed on, so a missing `annotation` means that there is none. Otherwise the agent
   * asks for the pod.
   */
  annotated?: boolean;
  /** The network of the conflist that the runtime used, if the conflist is for one network. */
  network?: string;
}

/** The reason why a container gets no network, in the form of a CNI error. Its runtime shows `msg; details` to the user. */
export interface CNIRefusal {
  /** 11: try again later (CNI's own). 100 to 104: see `refusals`. */
  code: number;
  msg: string;
  details?: string;
}

/** Our error codes; the plugin adds 105 for a full subnet. */
export const refusals = {
  tryAgain: 11,
  unknown: 100,
  notInForce: 101,
  forbidden: 102,
  notHere: 103,
  badRequest: 104,
} as const;

/**
 * The rule for each optional field. Values come from outside and go into messages and requests. The plugin has the same
 * rules for pods.
 */
const rules: { field: 'namespace' | 'pod' | 'network'; pattern: RegExp; rule: string }[] = [
  { field: 'namespace', pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, rule: 'a DNS label' },
  { field: 'pod', pattern: objectNamePattern, rule: 'a DNS subdomain' },
  { field: 'network', pattern: namePattern, rule: "a network's name" },
];

/** Parses a question, or says why the text is not one. Unknown fields are ignored: they are for a newer agent. */
export function parseAsk(body: string): Ask | CNIRefusal {
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
    return bad(
      `containerID ${shown(containerID)} is invalid: only letters, digits, "_", "." and "-" are allowed`,
    );
  }
  if (!/^[^/:\s]{1,15}$/.test(ifname) || ifname === '.' || ifname === '..') {
    return bad(
      `ifname ${shown(ifname)} is no name of an interface: at most 15 characters, no "/", ":" or space`,
    );
  }
  for (const { field, pattern, rule } of rules) {
    // outside Kubernetes the field for the pod may contain a container's name
    if (field === 'pod' && !present(namespace)) continue;
    const text = { namespace, pod, network }[field];
    // outside Kubernetes runtimes pass empty arguments
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

const present = (text: string | undefined): text is string => text !== undefined && text !== '';

const bad = (msg: string): CNIRefusal => ({ code: refusals.badRequest, msg });
