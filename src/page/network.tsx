import { useSignal } from '@preact/signals';
import { harmless } from '../api/text.ts';
import type { NetworkRow } from '../rows/row.ts';
import { AddressSpace } from './addressspace.tsx';
import { AgentRows } from './agents.tsx';
import { Conditions } from './conditions.tsx';
import { ContainerTable } from './containers.tsx';
import { Events } from './events.tsx';
import { Isolation } from './isolation.tsx';
import { AddressBars, Age, Bar, Notice, State } from './marks.tsx';
import { ObjectView, Section } from './section.tsx';
import { useAgents } from './silent.ts';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

/** The view of one network: its subnets and blocks, its isolation, nodes and containers. */
export function Network({ name }: { name: string }) {
  const { found } = useRows('networks', {});
  const { silent } = useAgents();
  const row = found.items.find((one) => one.name === name);
  return (
    <ObjectView name={name} found={found} row={row} unknown={text.value.unknownNetwork(harmless(name))}>
      {row === undefined ? null : (
        <>
          <Facts row={row} />
          <Subnets row={row} />
          <Isolation network={row} all={found.items} />
          <Conditions rows={row.conditions} />
          <Events wish={{ network: name }} />
          <Section id="nodes" title={text.value.agentsOf}>
            <AgentRows wish={{ network: name }} silent={silent} />
          </Section>
          <Section id="containers" title={text.value.containers}>
            <ContainerTable wish={{ network: name }} />
          </Section>
        </>
      )}
    </ObjectView>
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
    <Section id="subnets" title={text.value.subnets}>
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
            <State state={one.state} /> <Bar space={one} /> <AddressBars usage={one.usage} whole />
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
    </Section>
  );
}
