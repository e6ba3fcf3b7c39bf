import { useSignal } from '@preact/signals';
import { harmless } from '../api/text.ts';
import type { NetworkRow } from '../rows/row.ts';
import { AddressSpace } from './addressspace.tsx';
import { AgentRows } from './agents.tsx';
import { Conditions } from './conditions.tsx';
import { ContainerTable } from './containers.tsx';
import { Heading } from './heading.tsx';
import { Isolation } from './isolation.tsx';
import { Age, Bar, Name, Notice, State } from './marks.tsx';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

/** One network: its subnets and blocks, who talks with it, nodes and containers. */
export function Network({ name }: { name: string }) {
  const { found } = useRows('networks', {});
  const row = found.items.find((one) => one.name === name);
  return (
    <>
      <Heading title={harmless(name)}>
        <Name of={name} /> {row === undefined ? null : <State state={row.state} />}
      </Heading>
      <Notice
        here={found.here}
        problem={found.problem}
        empty={found.here && row === undefined ? text.value.unknownNetwork(harmless(name)) : undefined}
      />
      {row === undefined ? null : (
        <>
          {row.message === '' ? null : <p class="problem">{harmless(row.message)}</p>}
          <Facts row={row} />
          <Subnets row={row} />
          <Isolation network={row} all={found.items} />
          <Conditions rows={row.conditions} />
          <section aria-labelledby="nodes">
            <h2 id="nodes">{text.value.agentsOf}</h2>
            <AgentRows wish={{ network: name }} />
          </section>
          <section aria-labelledby="containers">
            <h2 id="containers">{text.value.containers}</h2>
            <ContainerTable wish={{ network: name }} />
          </section>
        </>
      )}
    </>
  );
}

const Facts = ({ row: { agents, containerizers, created } }: { row: NetworkRow }) => (
  <dl class="facts">
    <dt>{text.value.nodes}</dt>
    <dd>{text.value.of(agents.ready, agents.allocated + agents.waiting)}</dd>
    <dt>{text.value.containerizers}</dt>
    <dd>{containerizers.join(', ')}</dd>
    <dt>{text.value.age}</dt>
    <dd>
      <Age since={created} />
    </dd>
  </dl>
);

function Subnets({ row }: { row: NetworkRow }) {
  const { found: spaces } = useRows('spaces', { network: row.name });
  const { found: blocks } = useRows('blocks', { network: row.name });
  const chosen = useSignal('');
  const space = spaces.items.find(({ cidr }) => cidr === chosen.value) ?? spaces.items[0];
  return (
    <section aria-labelledby="subnets">
      <h2 id="subnets">{text.value.subnets}</h2>
      <ul class="subnets">
        {row.subnets
          .filter(({ cidr }) => !spaces.items.some((one) => one.cidr === cidr))
          .map(({ cidr, prefix, state }) => (
            <li key={cidr}>
              <code>{`${cidr} /${prefix}`}</code> <State state={state} />
            </li>
          ))}
        {spaces.items.map((one) => (
          <li key={one.cidr}>
            <button
              type="button"
              aria-pressed={one === space}
              onClick={() => {
                chosen.value = one.cidr;
              }}
            >
              <code>{`${one.cidr} /${one.prefix}`}</code>
            </button>
            <State state={one.state} /> <Bar space={one} />
          </li>
        ))}
      </ul>
      <Notice here={spaces.here && blocks.here} problem={spaces.problem || blocks.problem} />
      {space === undefined || !blocks.here ? null : (
        <AddressSpace
          key={space.cidr}
          space={space}
          blocks={blocks.items.filter((one) => one.space === space.cidr)}
        />
      )}
    </section>
  );
}
