import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

/** Letters that come closer to each other are one search. */
const typingMs = 200;

/** A field whose text the URL has, too. */
export function SearchField({
  label,
  value,
  onSearch,
}: {
  label: string;
  value: string;
  onSearch: (search: string) => void;
}) {
  const typed = useSignal(value);
  /** What the URL has as far as this field knows. */
  const known = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(
    () => () => {
      clearTimeout(timer.current);
    },
    [],
  );
  // somebody followed a link
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
