import { harmless } from '../api/text.ts';
import type { AgentRow, BlockRow } from '../rows/row.ts';
import { Conditions } from './conditions.tsx';
import { ContainerTable } from './containers.tsx';
import { Heading } from './heading.tsx';
import { Age, Copied, Name, Notice, State, To } from './marks.tsx';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

/** One node: what it has and what its agent says. */
export function Agent({ name }: { name: string }) {
  const { found } = useRows('agents', { node: name });
  const { found: blocks } = useRows('blocks', { node: name });
  const [row] = found.items;
  return (
    <>
      <Heading title={harmless(name)}>
        <Name of={name} /> {row === undefined ? null : <State state={row.state} />}
      </Heading>
      <Notice
        here={found.here}
        problem={found.problem}
        empty={found.here && row === undefined ? text.value.unknownAgent(harmless(name)) : undefined}
      />
      {row === undefined ? null : (
        <>
          {row.message === '' ? null : <p class="problem">{harmless(row.message)}</p>}
          <Facts row={row} />
          <Networks row={row} blocks={blocks.items} />
          <Conditions rows={row.conditions} />
          <section aria-labelledby="containers">
            <h2 id="containers">{text.value.containers}</h2>
            <ContainerTable wish={{ node: name }} />
          </section>
        </>
      )}
    </>
  );
}

function Facts({ row: { addresses, vtep, created } }: { row: AgentRow }) {
  const ends = [vtep?.ip, vtep?.ip6].filter((one) => one !== undefined);
  return (
    <dl class="facts">
      <dt>{text.value.addresses}</dt>
      <dd>
        {addresses.map((one) => (
          <Copied key={one} value={one}>
            <code>{one}</code>
          </Copied>
        ))}
      </dd>
      <dt>{text.value.vtep}</dt>
      <dd>
        {vtep === undefined ? text.value.noVTEP : null}
        {[...ends, ...(vtep === undefined ? [] : [vtep.mac])].map((one) => (
          <Copied key={one} value={one}>
            <code>{one}</code>
          </Copied>
        ))}
      </dd>
      <dt>{text.value.age}</dt>
      <dd>
        <Age since={created} />
      </dd>
    </dl>
  );
}

function Networks({ row, blocks }: { row: AgentRow; blocks: readonly BlockRow[] }) {
  const own = blocks.filter(({ network }) => network !== '');
  const said = new Map(row.networks.map((one) => [one.name, one]));
  if (own.length === 0 && row.networks.length === 0) return null;
  return (
    <section aria-labelledby="blocks">
      <h2 id="blocks">{text.value.blocks}</h2>
      <div class="wide" tabIndex={0} role="group" aria-labelledby="blocks">
        <table>
          <thead>
            <tr>
              <th scope="col">{text.value.block}</th>
              <th scope="col">{text.value.network}</th>
              <th scope="col">{text.value.state}</th>
              <th scope="col">CNI</th>
              <th scope="col">Docker</th>
              <th scope="col">{text.value.says}</th>
              <th scope="col">{text.value.since}</th>
            </tr>
          </thead>
          <tbody>
            {own.map(({ cidr, network, state, bridges, since }) => {
              const report = said.get(network);
              return (
                <tr key={cidr}>
                  <th scope="row">
                    <code>{cidr}</code>
                  </th>
                  <td>
                    <To to={{ view: 'network', name: network }}>
                      <Name of={network} />
                    </To>
                  </td>
                  <td>
                    <State state={state} />
                  </td>
                  <td>
                    <code>{bridges?.cni ?? '–'}</code>
                  </td>
                  <td>
                    <code>{bridges?.docker ?? '–'}</code>
                  </td>
                  <td>
                    {report === undefined ? null : <State state={report.state} />}{' '}
                    {harmless(report?.message ?? '')}
                  </td>
                  <td>
                    <Age since={since} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}
