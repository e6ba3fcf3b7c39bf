import { isName, mostNetworks, nameRule } from '../net/name.ts';
import { refusals, shown, type Ask, type Refusal } from './ask.ts';

/** Of pods and of namespaces: a comma list of networks. */
export const networkAnnotation = 'overlaynet.dev/network';

/** A namespace, as far as networks go. */
export interface Namespace {
  name: string;
  labels?: Record<string, string>;
  annotation?: string;
}

/** The networks that a container is to have. */
interface Wish {
  text: string;
  /** Where it stands, for messages. */
  source: string;
  isDefault: boolean;
}

/** The network that the conflist names, else what the pod's annotation says, else its namespace's, else the default. */
export function wishOf(ask: Ask, defaultNetwork: string, namespace: Namespace | undefined): Wish {
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

/** Whoever may make pods or namespaces writes annotations: nothing is guessed. */
export function namesIn(text: string, source: string): string[] | Refusal {
  const refuse = (msg: string): Refusal => ({
    code: refusals.badRequest,
    msg: `${source}: ${msg}`,
    details: 'write the name of a network, or a comma list without spaces, such as dcos,dcos6',
  });
  const names = text.split(',');
  if (names.length > mostNetworks) {
    return refuse(`${shown(text)} names ${names.length} networks; at most ${mostNetworks} are allowed`);
  }
  if (/\s/.test(text)) return refuse(`${shown(text)} has a space in it`);
  if (names.includes('')) return refuse(`${shown(text)} has an empty part`);
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined) {
    return refuse(`${shown(wrong)} is no network's name: ${nameRule}`);
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? names : refuse(`${shown(text)} names ${twice} twice`);
}
