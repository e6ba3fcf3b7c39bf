import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { age, harmless } from '../api/text.ts';
import type { SpaceRow, SpaceUsage } from '../rows/row.ts';
import { tones } from '../rows/tone.ts';
import { now } from './clock.ts';
import { href, type Route } from './route.ts';
import { stateText, text } from './texts.ts';

/** Each state has a shape, so that colour is not needed to recognise it. */
export const shapes = { good: '●', odd: '▲', bad: '✖', off: '○' } as const;
export type Tone = keyof typeof shapes;

/** The shared words, and two subnet states that commands print without a colour. */
const own: Record<string, Tone> = { ...tones, Active: 'good', Draining: 'odd' };
// a user may name the type of an Event, also "constructor"
export const toneOf = (state: string): Tone => (Object.hasOwn(own, state) ? own[state] : undefined) ?? 'off';
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

/** A name that a user chose; deceptive characters are escaped. */
export const Name = ({ of }: { of: string }) => <bdi>{harmless(of)}</bdi>;

/** @param words the sentence that the age stands in, if it does not stand alone */
export const Age = ({ since, words = (age) => age }: { since: string; words?: (age: string) => string }) =>
  Number.isNaN(Date.parse(since)) ? null : (
    <time dateTime={since} title={since}>
      {words(age(since, Math.max(now.value, Date.parse(since))))}
    </time>
  );

/** Limits in percent, see docs/fullness.md. */
const [nearlyFull, full] = [80, 100];
const fullness = (percent: number): Tone | '' =>
  percent >= full ? 'bad' : percent >= nearlyFull ? 'odd' : '';

/** A bar of a subnet's blocks: in use by pods and Docker, resting, and free. */
export function Bar({ space }: { space: SpaceRow }) {
  const { blocks, held, releasing, cooling, quarantined, reserved = 0, free, usage } = space;
  const percent = (part: number) => `${blocks === 0 ? 0 : (part / blocks) * 100}%`;
  const all = usage.reduce((sum, { addresses }) => sum + addresses, 0);
  const halves = usage.map(
    ({ containerizer, addresses }) => [containerizer, (held * addresses) / all] as const,
  );
  const parts = [
    ...(all === 0 ? [['held', held] as const] : halves),
    ['cooling', releasing + cooling] as const,
    ['quarantined', quarantined] as const,
    ['reserved', reserved] as const,
  ];
  const words = text.value.bar(held + quarantined, releasing + cooling, reserved, free);
  return (
    <span class="fill">
      <span class="bar" role="img" aria-label={words} title={words}>
        {parts.map(([name, part]) =>
          part === 0 ? null : <span key={name} class={name} style={{ width: percent(part) }} />,
        )}
      </span>
      <span class={`number ${fullness(blocks === 0 ? 0 : ((blocks - free) / blocks) * 100)}`}>
        {text.value.of(blocks - free, blocks)}
      </span>
    </span>
  );
}

/** Larger numbers are not shown: subnets of IPv6 have 2^53 blocks and more. */
const countless = 1e9;

/**
 * Bars that show how full the nodes' blocks are, by owner of the part.
 * @param whole shows the numbers beside the bar
 */
export const AddressBars = ({ usage, whole = false }: { usage: readonly SpaceUsage[]; whole?: boolean }) => (
  <>
    {usage.map(({ containerizer, addresses, used }) => {
      const percent = addresses === 0 ? 0 : Math.floor((used / addresses) * 100);
      const tone = fullness(percent);
      const numbers = addresses >= countless ? text.value.used(used) : text.value.of(used, addresses);
      const words = text.value.addressesUsed(containerizer, numbers);
      return (
        <span key={containerizer} class="fill addresses">
          {containerizer}
          <span class="bar" role="img" aria-label={words} title={words}>
            {used === 0 ? null : <span class={`${containerizer} ${tone}`} style={{ width: `${percent}%` }} />}
          </span>
          <span class={`number part ${tone}`}>{whole ? numbers : `${percent} %`}</span>
        </span>
      );
    })}
  </>
);

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

/** A message in place of missing rows. */
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
