import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Keystrokes within this time make one search. */
const typingMs = 200;

interface Search {
  label: string;
  value: string;
  onSearch: (search: string) => void;
}

/** The search field above a list, and other filters. */
export const Filters = ({ children, ...search }: Search & { children?: ComponentChildren }) => (
  <form
    class="filters"
    role="search"
    onSubmit={(event) => {
      event.preventDefault();
    }}
  >
    <SearchField {...search} />
    {children}
  </form>
);

/** A field whose text is also in the URL. */
function SearchField({ label, value, onSearch }: Search) {
  const typed = useSignal(value);
  /** The text in the URL, as far as this field knows. */
  const known = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(
    () => () => {
      clearTimeout(timer.current);
    },
    [],
  );
  // the user followed a link
  if (value !== known.current) typed.value = known.current = value;
  const type = (text: string) => {
    typed.value = text;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const next = text.trim();
      if (next === known.current) return;
      known.current = next;
      onSearch(next);
    }, typingMs);
  };
  return (
    <label class="search">
      <span class="heard">{label}</span>
      <input
        type="search"
        maxLength={256}
        placeholder={label}
        value={typed.value}
        onInput={(event) => {
          type(event.currentTarget.value);
        }}
      />
    </label>
  );
}
