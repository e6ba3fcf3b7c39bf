import { computed, signal } from '@preact/signals';
import { chinese } from './chinese.ts';
import { english, type Texts } from './english.ts';

const languages: Record<string, Texts> = { en: english, zh: chinese };

/** Returns the first of the user's languages that the page has. */
export const languageOf = (wanted: readonly string[]): string =>
  wanted.map((one) => one.slice(0, 2).toLowerCase()).find((one) => one in languages) ?? 'en';

const language = signal(languageOf(navigator.languages));

export const text = computed<Texts>(() => languages[language.value] ?? english);

export function switchLanguage(): void {
  language.value = language.value === 'en' ? 'zh' : 'en';
}

/** Returns a state's word in the user's language. In English it is the API's own word. */
export function stateText(state: string): string {
  const { states } = text.value;
  return (Object.hasOwn(states, state) ? states[state] : undefined) ?? state;
}
