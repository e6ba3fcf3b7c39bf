import { signal } from '@preact/signals';

/** The current time in ms, for ages on the page. */
export const now = signal(Date.now());

export function startClock(): void {
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 5_000);
}
