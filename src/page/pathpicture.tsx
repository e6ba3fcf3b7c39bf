import { harmless } from '../api/text.ts';
import type { PacketPath } from '../rows/path.ts';
import { shapes } from './marks.tsx';
import { stationTone, type DrawnLeg } from './stations.ts';
import { text } from './texts.ts';

/** Sizes in the picture's own units. */
const step = 92;
const edge = 14;
const between = 70;
const rail = 74;
const height = 132;

interface Place {
  leg: DrawnLeg;
  from: number;
  width: number;
}

/** Places the nodes' boxes side by side, in the packet's order. */
function placed(legs: readonly DrawnLeg[]): Place[] {
  let from = 1;
  return legs.map((leg) => {
    const width = Math.max(2, leg.stations.length) * step + 2 * edge;
    const place = { leg, from, width };
    from += width + between;
    return place;
  });
}

/**
 * A picture of the way as a line through the nodes. The list below it says the same, with the evidence from the
 * kernels.
 */
export function PathPicture({ path, legs }: { path: PacketPath; legs: readonly DrawnLeg[] }) {
  const places = placed(legs);
  const last = places.at(-1);
  if (last === undefined) return null;
  const width = last.from + last.width + 1;
  const label = text.value.pathPicture(
    harmless(path.from.name ?? path.from.address),
    harmless(path.to.name ?? path.to.address),
    legs.map(({ node, stations }) => ({
      node: harmless(node),
      steps: stations.map(
        (one) =>
          `${text.value.hops[one.what]} ${one.ahead === true ? text.value.notReached : text.value.hopState[one.is]}`,
      ),
    })),
  );
  return (
    <svg
      class="way"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${width} ${height}`}
      style={{ maxWidth: `${width}px` }}
    >
      {places.map((place, at) => (
        <NodeBox key={at} place={place} />
      ))}
      {places.map((place, at) => (
        <Rail key={at} place={place} next={places[at + 1]} />
      ))}
    </svg>
  );
}

const middle = ({ from }: Place, index: number): number => from + edge + step * (index + 0.5);

const NodeBox = ({ place: { leg, from, width } }: { place: Place }) => (
  <g>
    <rect class="node" x={from} y="1" width={width} height={height - 2} rx="10" />
    <text class="title" x={from + edge} y="24">
      {harmless(leg.node)}
    </text>
  </g>
);

/** The steps on a node, and the tunnel to the next one. It is drawn over both boxes. */
function Rail({ place, next }: { place: Place; next: Place | undefined }) {
  const { leg, from, width } = place;
  const count = leg.stations.length;
  const follows = next?.leg.stations[0];
  return (
    <g>
      {leg.stations.slice(1).map((station, at) => (
        <line
          key={at}
          class={station.ahead === true ? 'rail ahead' : 'rail'}
          x1={middle(place, at)}
          x2={middle(place, at + 1)}
          y1={rail}
          y2={rail}
        />
      ))}
      {next === undefined || follows === undefined ? null : (
        <>
          <line
            class={follows.ahead === true ? 'rail tunnel ahead' : 'rail tunnel'}
            x1={middle(place, count - 1)}
            x2={middle(next, 0)}
            y1={rail}
            y2={rail}
          />
          <text class="small" x={from + width + between / 2} y={rail - 12} text-anchor="middle">
            {text.value.tunnel}
          </text>
        </>
      )}
      {leg.stations.map((station, at) => {
        const tone = stationTone(station);
        return (
          <g key={at} class={`station ${tone}`}>
            <circle cx={middle(place, at)} cy={rail} r="13" />
            <text x={middle(place, at)} y={rail + 5} text-anchor="middle">
              {shapes[tone]}
            </text>
            <text class="small" x={middle(place, at)} y={rail + 36} text-anchor="middle">
              {text.value.shortHops[station.what]}
            </text>
          </g>
        );
      })}
    </g>
  );
}
