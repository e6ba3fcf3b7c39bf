import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { text } from './texts.ts';

/** A way with the keyboard past many links, which is visible while it has the focus. */
export function Past({ label, children }: { label: string; children: ComponentChildren }) {
  const end = useRef<HTMLSpanElement>(null);
  return (
    <>
      <button type="button" class="past" onClick={() => end.current?.focus()}>
        {text.value.past(label)}
      </button>
      {children}
      <span ref={end} tabIndex={-1} />
    </>
  );
}
