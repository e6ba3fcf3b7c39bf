import { computed, signal } from '@preact/signals';
import { chinese } from './chinese.ts';
import { english, type Texts } from './english.ts';

const languages: Record<string, Texts> = { en: english, zh: chinese };

/** The first language of the reader's that the page has. */
export const languageOf = (wanted: readonly string[]): string =>
  wanted.map((one) => one.slice(0, 2).toLowerCase()).find((one) => one in languages) ?? 'en';

const language = signal(languageOf(navigator.languages));

export const text = computed<Texts>(() => languages[language.value] ?? english);

export function switchLanguage(): void {
  language.value = language.value === 'en' ? 'zh' : 'en';
}

/** A state's word in the reader's language: the API's own word in English. */
export const stateText = (state: string): string => text.value.states[state] ?? state;
