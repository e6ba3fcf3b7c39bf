import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { age, harmless } from '../api/text.ts';
import type { SpaceRow } from '../rows/row.ts';
import { tones } from '../rows/tone.ts';
import { now } from './clock.ts';
import { href, type Route } from './route.ts';
import { stateText, text } from './texts.ts';

/** Each state has a shape, so that nobody depends on colours. */
const shapes = { good: '●', odd: '▲', bad: '✖', off: '○' } as const;
export type Tone = keyof typeof shapes;

/** The shared words, and two of subnets that commands show without a colour. */
const own: Record<string, Tone> = { ...tones, Active: 'good', Draining: 'odd' };
export const toneOf = (state: string): Tone => own[state] ?? 'off';
export const shapeOf = (state: string): string => shapes[toneOf(state)];

export const State = ({ state, tone = toneOf(state) }: { state: string; tone?: Tone }) => (
  <span class={`state ${tone}`}>
    <span aria-hidden="true">{shapes[tone]}</span> {stateText(state)}
  </span>
);

/** A link within the page. */
export const To = ({ to, children }: { to: Route; children: ComponentChildren }) => (
  <a href={href(to)}>{children}</a>
);

/** A name that somebody else chose, with what could deceive the reader written out. */
export const Name = ({ of }: { of: string }) => <bdi>{harmless(of)}</bdi>;

export const Age = ({ since }: { since: string }) =>
  Number.isNaN(Date.parse(since)) ? null : (
    <time dateTime={since} title={since}>
      {age(since, now.value)}
    </time>
  );

/** How full a subnet is. */
export function Bar({ space }: { space: SpaceRow }) {
  const { blocks, held, releasing, cooling, quarantined, free } = space;
  const percent = (part: number) => `${blocks === 0 ? 0 : (part / blocks) * 100}%`;
  const parts = { held, cooling: releasing + cooling, quarantined };
  return (
    <span class="fill">
      <span
        class="bar"
        role="img"
        aria-label={text.value.bar(held + quarantined, releasing + cooling, free)}
        title={text.value.bar(held + quarantined, releasing + cooling, free)}
      >
        {Object.entries(parts).map(([name, part]) =>
          part === 0 ? null : <span key={name} class={name} style={{ width: percent(part) }} />,
        )}
      </span>
      <span class="number">{text.value.of(blocks - free, blocks)}</span>
    </span>
  );
}

/** An address with a button that copies it. */
export function Copied({ value, children }: { value: string; children: ComponentChildren }) {
  const done = useSignal(false);
  const copy = () => {
    void navigator.clipboard.writeText(value).then(() => {
      done.value = true;
      setTimeout(() => (done.value = false), 1_500);
    });
  };
  return (
    <span class="copied">
      {children}
      <button
        type="button"
        class="icon"
        onClick={copy}
        aria-label={text.value.copy(value)}
        title={text.value.copy(value)}
      >
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
          {done.value ? <path d="M3 8.5 6.5 12 13 4.5" /> : <path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3" />}
        </svg>
        <span class="heard" role="status">
          {done.value ? text.value.copied : ''}
        </span>
      </button>
    </span>
  );
}

/** What stands in place of rows that are not there. */
export function Notice({
  here,
  problem,
  empty,
}: {
  here: boolean;
  problem: string;
  empty?: string | undefined;
}) {
  if (problem !== '')
    return (
      <p class="problem" role="alert">
        {text.value.problem(harmless(problem))}
      </p>
    );
  if (!here) return <p role="status">{text.value.loading}</p>;
  return empty === undefined ? null : <p>{empty}</p>;
}
