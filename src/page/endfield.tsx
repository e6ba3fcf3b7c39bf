import type { Signal } from '@preact/signals';
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { harmless } from '../api/text.ts';
import { containerName } from '../rows/containers.ts';
import type { ContainerRow } from '../rows/row.ts';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

/** Keystrokes within this time make one search. */
const typingMs = 200;
const mostOffered = 20;

interface Offer {
  value: string;
  label: string;
}

/** Returns the containers' texts for the field: the name of a pod, or the address of a Docker container. */
export function offersOf(rows: readonly ContainerRow[]): Offer[] {
  const offers = rows.flatMap((row): Offer[] => {
    const [address] = row.addresses.filter((one) => !one.startsWith('fe80:'));
    if (address === undefined) return [];
    const place = `${row.network}, ${row.node}`;
    return row.pod === undefined
      ? [{ value: address, label: `${containerName(row)}, ${place}` }]
      : [{ value: containerName(row), label: `${address}, ${place}` }];
  });
  return [...new Map(offers.toReversed().map((one) => [one.value, one])).values()].reverse();
}

/** A field for one end of a packet's way: an address or a pod, with suggestions while the user types. */
export function EndField({ id, label, value }: { id: string; label: string; value: Signal<string> }) {
  const search = useSignal('');
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(
    () => () => {
      clearTimeout(timer.current);
    },
    [],
  );
  const type = (typed: string) => {
    value.value = typed;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => (search.value = typed.trim()), typingMs);
  };
  return (
    <label>
      {label}
      <input
        type="text"
        list={`offers-${id}`}
        autoComplete="off"
        spellcheck={false}
        maxLength={256}
        placeholder={text.value.endHint}
        value={value.value}
        onInput={(event) => {
          type(event.currentTarget.value);
        }}
        onFocus={() => {
          if (search.value === '') type(value.value);
        }}
      />
      <Offers id={`offers-${id}`} search={search.value} />
    </label>
  );
}

function Offers({ id, search }: { id: string; search: string }) {
  const { found } = useRows('containers', search === '' ? {} : { search }, { first: mostOffered });
  return (
    <datalist id={id}>
      {offersOf(found.items.slice(0, mostOffered)).map(({ value, label }) => (
        <option key={value} value={value} label={harmless(label)} />
      ))}
    </datalist>
  );
}
