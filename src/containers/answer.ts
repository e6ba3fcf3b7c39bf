import { refusals, type Ask, type CNIRefusal } from './ask.ts';
import { choose, needsNamespace, type Choice, type Known } from './choose.ts';
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

/** Answers which networks a container joins. What is not known of its pod or namespace is looked up first, each once. */
export async function answer(asked: Ask, sources: Sources): Promise<Choice> {
  const first = await sources.known();
  if (typeof first === 'string') return incomplete(first);
  const ask = await withAnnotation(asked, sources.pods);
  if (typeof ask === 'string') return tryAgain(ask);
  const there = ask.namespace === undefined ? undefined : sources.namespaces.get(ask.namespace);
  const isUnknown = there === undefined && ask.namespace !== undefined && needsNamespace(ask, first);
  const namespace = isUnknown ? await sources.namespaces.lookUp(ask.namespace ?? '') : there;
  if (typeof namespace === 'string') return tryAgain(namespace);
  if (ask === asked && !isUnknown) return choose(ask, first, namespace);
  // while the API server was asked, a network may have been deleted
  const now = await sources.known();
  return typeof now === 'string' ? incomplete(now) : choose(ask, now, namespace);
}

const incomplete = (awaited: string): CNIRefusal =>
  tryAgain(`overlaynet's data path is not complete yet: ${awaited}`);

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
