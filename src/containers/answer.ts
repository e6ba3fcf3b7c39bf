import { refusals, type Ask, type CNIRefusal } from './ask.ts';
import { choose, type Choice, type Known } from './choose.ts';
import type { Namespace } from './wish.ts';

/** The facts that an answer follows from. */
export interface Sources {
  /** The present state. A text means that the data path was never complete, and says what is missing. */
  known: () => Promise<Known | string>;
  namespaces: {
    get: (name: string) => Namespace | undefined;
    lookUp: (name: string) => Promise<Namespace | string>;
  };
  pods: {
    /** Reads the pod's annotation, empty if it has none; or says why it cannot be read, for the user. */
    networkOf: (namespace: string, pod: string) => Promise<{ annotation: string } | string>;
  };
}

/**
 * Decides which networks a container joins. An unknown namespace is looked up once, and so is a pod whose annotations
 * were not passed on.
 */
export async function answer(asked: Ask, { known, namespaces, pods }: Sources): Promise<Choice> {
  const now = await known();
  if (typeof now === 'string') return tryAgain(`overlaynet's data path is not complete yet: ${now}`);
  const ask = await withAnnotation(asked, pods);
  if (typeof ask === 'string') return tryAgain(ask);
  const namespace = ask.namespace === undefined ? undefined : namespaces.get(ask.namespace);
  const choice = choose(ask, now, namespace);
  if (choice !== 'namespace') return choice;
  const found = await namespaces.lookUp(ask.namespace ?? '');
  if (typeof found === 'string') return tryAgain(found);
  const second = choose(ask, now, found);
  return second === 'namespace' ? tryAgain(`namespace ${found.name} is not known`) : second;
}

/**
 * Whether the pod must be looked up. A plugin that calls ours may not pass the pod's annotations on, and a pod that
 * asks for an isolated network must not end up in the default one because of that.
 */
async function withAnnotation(ask: Ask, pods: Sources['pods']): Promise<Ask | string> {
  const { namespace, pod, network, annotation, annotated = false } = ask;
  const told = network !== undefined || annotation !== undefined || annotated;
  if (told || namespace === undefined || pod === undefined) return ask;
  const found = await pods.networkOf(namespace, pod);
  if (typeof found === 'string') return found;
  return found.annotation === '' ? ask : { ...ask, annotation: found.annotation };
}

const tryAgain = (msg: string): CNIRefusal => ({ code: refusals.tryAgain, msg });
