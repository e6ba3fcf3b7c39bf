import type { ComponentChildren } from 'preact';
import { harmless } from '../api/text.ts';
import { Heading } from './heading.tsx';
import { Name, Notice, State } from './marks.tsx';

/** A part of a view under a heading, which is its name for a screen reader. */
export const Section = ({
  id,
  title,
  children,
}: {
  id: string;
  title: string;
  children: ComponentChildren;
}) => (
  <section aria-labelledby={id}>
    <h2 id={id}>{title}</h2>
    {children}
  </section>
);

/** A table with few rows, which scrolls sideways where it is wider than the page. */
export const WideTable = ({
  labelledBy,
  head,
  children,
}: {
  /** Id of its heading. */
  labelledBy: string;
  head: readonly string[];
  children: ComponentChildren;
}) => (
  <div class="wide" tabIndex={0} role="group" aria-labelledby={labelledBy}>
    <table>
      <thead>
        <tr>
          {head.map((one) => (
            <th key={one} scope="col">
              {one}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </div>
);

/** A view of one object: its name and state, what is wrong with it, and the rest as children. */
export const ObjectView = ({
  name,
  found,
  row,
  unknown,
  children,
}: {
  name: string;
  found: { here: boolean; problem: string };
  row: { state: string; message: string } | undefined;
  /** What stands there where there is no such object. */
  unknown: string;
  children: ComponentChildren;
}) => (
  <>
    <Heading title={harmless(name)}>
      <Name of={name} /> {row === undefined ? null : <State state={row.state} />}
    </Heading>
    <Notice
      here={found.here}
      problem={found.problem}
      empty={found.here && row === undefined ? unknown : undefined}
    />
    {row === undefined || row.message === '' ? null : <p class="problem">{harmless(row.message)}</p>}
    {children}
  </>
);
