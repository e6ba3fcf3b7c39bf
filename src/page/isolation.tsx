import { harmless } from '../api/text.ts';
import type { NetworkRow } from '../rows/row.ts';
import { Name, State, To } from './marks.tsx';
import { Section } from './section.tsx';
import { text } from './texts.ts';

type Policy = Pick<NetworkRow, 'name' | 'isolation' | 'allow'>;

const allows = ({ isolation, allow }: Policy, { name }: Policy): boolean =>
  isolation === 'Open' || allow.includes(name);

/** Whether connections between two networks pass, in both directions: docs/isolation.md, "What passes". */
export const talks = (a: Policy, b: Policy): boolean => a.name === b.name || (allows(a, b) && allows(b, a));

/** With more of them a picture says less than the list. */
const mostDrawn = 12;

/** Who talks with a network. */
export function Isolation({ network, all }: { network: NetworkRow; all: readonly NetworkRow[] }) {
  const others = all.filter(({ name, state }) => name !== network.name && state !== 'Disabled');
  const rule = network.isolation === 'Open' ? text.value.open : text.value.isolated;
  return (
    <Section id="isolation" title={text.value.isolation}>
      <p>
        {rule}
        {network.isolation === 'Isolated' && network.allow.length > 0
          ? ` (allow: ${network.allow.map(harmless).join(', ')})`
          : ''}
      </p>
      {others.length === 0 ? null : (
        <div class="isolation">
          {others.length <= mostDrawn ? <Graph network={network} others={others} /> : null}
          <table>
            <caption class="heard">{text.value.talksWith}</caption>
            <thead>
              <tr>
                <th scope="col">{text.value.network}</th>
                <th scope="col">{text.value.talksWith}</th>
              </tr>
            </thead>
            <tbody>
              {others.map((other) => {
                const passes = talks(network, other);
                return (
                  <tr key={other.name}>
                    <th scope="row">
                      <To to={{ view: 'network', name: other.name }}>
                        <Name of={other.name} />
                      </To>
                    </th>
                    <td>
                      <State
                        state={passes ? text.value.allowed : text.value.denied}
                        tone={passes ? 'good' : 'off'}
                      />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}

const size = { width: 420, height: 240 };

/** The network in the middle, the others around it. */
function Graph({ network, others }: { network: NetworkRow; others: readonly NetworkRow[] }) {
  const [x, y] = [size.width / 2, size.height / 2];
  const place = (at: number): [number, number] => {
    const angle = (2 * Math.PI * at) / others.length - Math.PI / 2;
    return [x + 150 * Math.cos(angle), y + 95 * Math.sin(angle)];
  };
  const named = (passes: boolean) =>
    others.filter((one) => talks(network, one) === passes).map(({ name }) => harmless(name));
  return (
    <svg
      class="graph"
      role="img"
      aria-label={text.value.graph(harmless(network.name), named(true), named(false))}
      viewBox={`0 0 ${size.width} ${size.height}`}
    >
      {others.map((other, at) => {
        const [toX, toY] = place(at);
        return (
          <line
            key={other.name}
            class={talks(network, other) ? 'passes' : 'denied'}
            x1={x}
            y1={y}
            x2={toX}
            y2={toY}
          />
        );
      })}
      {[network, ...others].map(({ name }, at) => {
        const [cx, cy] = at === 0 ? [x, y] : place(at - 1);
        return (
          <g key={name} class={at === 0 ? 'own' : ''}>
            <rect x={cx - 52} y={cy - 13} width="104" height="26" rx="13" />
            <text x={cx} y={cy + 4.5} text-anchor="middle">
              {harmless(name)}
            </text>
          </g>
        );
      })}
    </svg>
  );
}
