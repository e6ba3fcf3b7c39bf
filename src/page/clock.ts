import { signal } from '@preact/signals';

/** The time in ms, as far as ages on the page need it. */
export const now = signal(Date.now());

export function startClock(): void {
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 5_000);
}
