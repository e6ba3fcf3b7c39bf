import { harmless } from '../api/text.ts';
import type { AgentRow, BlockRow, LastPass } from '../rows/row.ts';
import { PeerRows } from './agents.tsx';
import { Conditions } from './conditions.tsx';
import { ContainerTable } from './containers.tsx';
import { Events } from './events.tsx';
import { Age, Copied, Name, State, To } from './marks.tsx';
import { ObjectView, Section, WideTable } from './section.tsx';
import { shownAgents, useAgents } from './silent.ts';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

/** The view of one node: its allocation, and its agent's report. */
export function Agent({ name }: { name: string }) {
  const { found } = useRows('agents', { node: name });
  const { found: blocks } = useRows('blocks', { node: name });
  const { containers, silent } = useAgents({ node: name });
  const [row] = found.items;
  const [shown] = shownAgents(found.items, silent);
  const [mute] = silent.filter(({ node }) => node === name);
  return (
    <ObjectView
      name={name}
      found={found}
      row={row === undefined ? undefined : { state: shown?.state ?? row.state, message: row.message }}
      unknown={text.value.unknownAgent(harmless(name))}
    >
      {row === undefined ? null : (
        <>
          {mute === undefined ? null : (
            <p class="banner" role="alert">
              {text.value.noAnswer(harmless(mute.reason), harmless(name))}
            </p>
          )}
          <Facts row={row} pass={containers.pass} />
          <Networks row={row} blocks={blocks.items} />
          <Conditions rows={row.conditions} />
          <Events wish={{ node: name }} />
          <Section id="peers" title={text.value.peers}>
            <PeerRows node={name} />
          </Section>
          <Section id="containers" title={text.value.containers}>
            <ContainerTable wish={{ node: name }} />
          </Section>
        </>
      )}
    </ObjectView>
  );
}

function Facts({
  row: { addresses, vtep, revision, created },
  pass,
}: {
  row: AgentRow;
  /** Undefined if it is unknown, or if the token may not see it. */
  pass: LastPass | undefined;
}) {
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
      <dt>{text.value.pass}</dt>
      <dd>
        {pass === undefined ? (
          '–'
        ) : (
          <span>
            <State state={pass.problem === '' ? 'OK' : 'Failed'} />{' '}
            <Age since={pass.endedAt} words={text.value.passEnded} />
            {pass.problem === '' ? null : `: ${harmless(pass.problem)}`}
          </span>
        )}
      </dd>
      <dt>{text.value.allocation}</dt>
      <dd>{revision === undefined ? '–' : text.value.revisionOf(revision.applied, revision.wanted)}</dd>
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
    <Section id="blocks" title={text.value.blocks}>
      <WideTable
        labelledBy="blocks"
        head={[
          text.value.block,
          text.value.network,
          text.value.state,
          'CNI',
          'Docker',
          text.value.says,
          text.value.since,
        ]}
      >
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
              <td class="message">
                {report === undefined ? null : <State state={report.state} />}{' '}
                {harmless(report?.message ?? '')}
              </td>
              <td>
                <Age since={since} />
              </td>
            </tr>
          );
        })}
      </WideTable>
    </Section>
  );
}
