import type { ComponentChildren } from 'preact';
import { harmless } from '../api/text.ts';
import { Heading } from './heading.tsx';
import type { Unanswered } from '../rows/row.ts';
import { Name, Notice, State, To } from './marks.tsx';
import { text } from './texts.ts';

/** A section of a view. Its heading is its name for a screen reader. */
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

/** A table with few rows, which scrolls sideways if it is wider than the page. */
export const WideTable = ({
  labelledBy,
  head,
  children,
}: {
  /** Id of the table's heading. */
  labelledBy: string;
  head: readonly string[];
  children: ComponentChildren;
}) => (
  <div class="wide" tabIndex={0} role="group" aria-labelledby={labelledBy}>
    <table aria-labelledby={labelledBy}>
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

/** The view of one object: its name and state, its problems, and further content as children. */
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
  /** The text that is shown if the object does not exist. */
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

/** With more nodes than this, their names are behind a click: they would hide what follows. */
const mostOpen = 3;

/** Names the nodes whose agents did not answer. */
export const Silent = ({ unanswered }: { unanswered: readonly Unanswered[] }) =>
  unanswered.length === 0 ? null : (
    <details class="warning" open={unanswered.length <= mostOpen}>
      <summary>
        <span aria-hidden="true">▲</span> {text.value.unanswered(unanswered.length)}
      </summary>
      <ul>
        {unanswered.slice(0, 100).map(({ node, reason }) => (
          <li key={node}>
            <To to={{ view: 'agent', name: node }}>
              <Name of={node} />
            </To>
            : {harmless(reason)}
          </li>
        ))}
      </ul>
    </details>
  );
