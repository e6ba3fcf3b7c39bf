import { networkAnnotation } from '../api/labels.ts';
import { namesOf, namesRemedy } from '../api/networknames.ts';
import { refusals, type Ask, type CNIRefusal } from './ask.ts';

/** The parts of a namespace that concern networks. */
export interface Namespace {
  name: string;
  labels?: Record<string, string>;
  annotation?: string;
}

/** The networks that a container should have. */
interface RequestedNetworks {
  text: string;
  /** The place where the names were read, for messages. */
  source: string;
  isDefault: boolean;
}

/**
 * The networks that a container should have: the conflist's, else those of the pod's annotation, else those of its
 * namespace's, else the default.
 */
export function requestedNetworks(
  ask: Ask,
  defaultNetwork: string,
  namespace: Namespace | undefined,
): RequestedNetworks {
  if (ask.network !== undefined) {
    return { text: ask.network, source: `conflist ${ask.network}`, isDefault: false };
  }
  const annotation = `annotation ${networkAnnotation}`;
  if (ask.annotation !== undefined) {
    const pod =
      ask.pod === undefined ? 'the pod' : `pod ${[ask.namespace, ask.pod].filter(Boolean).join('/')}`;
    return { text: ask.annotation, source: `${annotation} of ${pod}`, isDefault: false };
  }
  if (namespace?.annotation !== undefined) {
    const source = `${annotation} of namespace ${namespace.name}`;
    return { text: namespace.annotation, source, isDefault: false };
  }
  const source = 'defaultNetwork of OverlayConfig default';
  return { text: defaultNetwork, source, isDefault: true };
}

/** The networks in a list, or the reason why it is refused. */
export function namesIn(text: string, source: string): string[] | CNIRefusal {
  const names = namesOf(text);
  return typeof names === 'string'
    ? { code: refusals.badRequest, msg: `${source}: ${names}`, details: namesRemedy }
    : names;
}
