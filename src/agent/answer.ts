import { refusals, type Ask, type Refusal } from './ask.ts';
import { choose, type Choice, type Known } from './choose.ts';
import type { Namespace } from './wish.ts';

/** What an answer follows from. */
export interface Sources {
  /** Of this moment; where it is text, the data path was never complete, and the text tells what is awaited. */
  known: () => Promise<Known | string>;
  namespaces: {
    get: (name: string) => Namespace | undefined;
    lookUp: (name: string) => Promise<Namespace | string>;
  };
}

/** Which networks a container joins. A namespace that is unknown is looked up once. */
export async function answer(ask: Ask, { known, namespaces }: Sources): Promise<Choice> {
  const now = await known();
  if (typeof now === 'string') return tryAgain(`overlaynet's data path is not complete yet: ${now}`);
  const namespace = ask.namespace === undefined ? undefined : namespaces.get(ask.namespace);
  const choice = choose(ask, now, namespace);
  if (choice !== 'namespace') return choice;
  const found = await namespaces.lookUp(ask.namespace ?? '');
  if (typeof found === 'string') return tryAgain(found);
  const second = choose(ask, now, found);
  return second === 'namespace' ? tryAgain(`namespace ${found.name} is not known`) : second;
}

const tryAgain = (msg: string): Refusal => ({ code: refusals.tryAgain, msg });
