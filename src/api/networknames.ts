import { isName, mostNetworks, nameRule } from '../net/name.ts';
import { shown } from '../net/text.ts';

/**
 * Parses the networks in an annotation. It is strict, because every user with the right to create pods or namespaces writes
 * annotations.
 * @returns the networks, or a text that says what is wrong
 */
export function namesOf(text: string): string[] | string {
  const names = text.split(',');
  if (names.length > mostNetworks)
    return `${shown(text)} names ${names.length} networks; at most ${mostNetworks} are allowed`;
  if (/\s/.test(text)) return `${shown(text)} has a space in it`;
  if (names.includes('')) return `${shown(text)} has an empty part`;
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined) return `${shown(wrong)} is no network's name: ${nameRule}`;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? names : `${shown(text)} names ${twice} twice`;
}

/** Advice on what to write instead. */
export const namesRemedy = 'write the name of a network, or a comma list without spaces, such as dcos,dcos6';
