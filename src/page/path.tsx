import { useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { harmless } from '../api/text.ts';
import { messageOf } from '../error.ts';
import { endIn, tracePath, type PacketPath, type PathEnd } from '../rows/path.ts';
import { get, Refusal } from './api.ts';
import { EndField } from './endfield.tsx';
import { Heading } from './heading.tsx';
import { Age, Name, Notice, shapes, To } from './marks.tsx';
import { PathPicture } from './pathpicture.tsx';
import { go, type Route } from './route.ts';
import { drawn, stationTone, verdictTones, type DrawnLeg, type Station } from './stations.ts';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

type Wanted = Omit<Extract<Route, { view: 'path' }>, 'view'>;

/** The view of a packet's way between two containers, hop by hop. */
export function Path(wanted: Wanted) {
  const { from, to } = wanted;
  const [again, asked] = [useSignal(0), useSignal('')];
  const found = useSignal<{ path?: PacketPath; problem: string; here: boolean }>({ problem: '', here: true });
  const key = JSON.stringify(wanted);
  useEffect(() => {
    if (from === undefined || to === undefined) return;
    const abort = new AbortController();
    found.value = { problem: '', here: false };
    const { protocol, port } = wanted;
    get<PacketPath>(tracePath, { from, to, protocol, port }, abort.signal).then(
      (path) => {
        found.value = { path, problem: '', here: true };
        asked.value = new Date().toISOString();
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const isRight = error instanceof Refusal && error.status === 403;
        found.value = { problem: isRight ? text.value.noRight : messageOf(error), here: true };
      },
    );
    return () => {
      abort.abort();
    };
  }, [key, again.value]);
  const { path, problem, here } = found.value;
  return (
    <>
      <Heading title={text.value.path} />
      <p class="quiet">{text.value.pathHelp}</p>
      <Form key={key} wanted={wanted} again={() => again.value++} />
      {from === undefined || to === undefined ? null : (
        <>
          <Notice here={here} problem={problem} />
          {path === undefined ? null : <Answer path={path} asked={asked.value} />}
        </>
      )}
    </>
  );
}

function Form({ wanted, again }: { wanted: Wanted; again: () => void }) {
  const from = useSignal(wanted.from ?? '');
  const to = useSignal(wanted.to ?? '');
  const protocol = useSignal(wanted.protocol ?? '');
  const port = useSignal(wanted.port ?? '');
  const wrong = useSignal(false);
  const send = (from: string, to: string) => {
    const ends = [from.trim(), to.trim()];
    wrong.value = ends.some((end) => endIn(end) === undefined);
    if (wrong.value) return;
    const [first = '', second = ''] = ends;
    const next: Route = {
      view: 'path',
      from: first,
      to: second,
      ...(protocol.value === '' ? {} : { protocol: protocol.value }),
      ...(port.value === '' || protocol.value === 'icmp' ? {} : { port: port.value }),
    };
    if (!go(next)) again();
  };
  return (
    <form
      class="ends"
      onSubmit={(event) => {
        event.preventDefault();
        send(from.value, to.value);
      }}
    >
      <EndField id="from" label={text.value.pathFrom} value={from} />
      <EndField id="to" label={text.value.pathTo} value={to} />
      <Packet protocol={protocol} port={port} />
      <span class="buttons">
        <button type="submit" class="first">
          {text.value.follow}
        </button>
        <button
          type="button"
          onClick={() => {
            send(to.value, from.value);
          }}
        >
          {text.value.turned}
        </button>
      </span>
      {wrong.value ? <EndRule ends={[from.value.trim(), to.value.trim()]} /> : null}
    </form>
  );
}

/** The fields for the packet's protocol and port. */
function Packet({ protocol, port }: { protocol: Signal<string>; port: Signal<string> }) {
  return (
    <>
      <label>
        {text.value.protocol}
        <select value={protocol.value} onChange={(event) => (protocol.value = event.currentTarget.value)}>
          <option value="">{text.value.protocolUsual}</option>
          {['tcp', 'udp', 'icmp'].map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <label>
        {text.value.port}
        <input
          type="number"
          min={1}
          max={65535}
          disabled={protocol.value === 'icmp'}
          value={port.value}
          onInput={(event) => (port.value = event.currentTarget.value)}
        />
      </label>
    </>
  );
}

/** Says what an end must be, and where the answer for networks is. */
function EndRule({ ends }: { ends: readonly string[] }) {
  const { found } = useRows('networks', {});
  const meant = found.items.filter(({ name }) => ends.includes(name));
  return (
    <p class="problem" role="alert">
      {text.value.endRule}{' '}
      {meant.length === 0 ? null : (
        <>
          {text.value.endNetworks}{' '}
          {meant.map(({ name }) => (
            <To key={name} to={{ view: 'network', name }}>
              <Name of={name} />{' '}
            </To>
          ))}
        </>
      )}
    </p>
  );
}

function Answer({ path, asked }: { path: PacketPath; asked: string }) {
  const legs = drawn(path);
  const tone = verdictTones[path.verdict];
  const stop = path.legs.flatMap(({ node, hops }) =>
    hops.flatMap((hop) => (hop.is === path.verdict ? [{ ...hop, node }] : [])),
  )[0];
  const where = stop === undefined ? '' : text.value.hopOn(text.value.hops[stop.what], harmless(stop.node));
  return (
    <>
      <p class={`health ${tone}`} role="status">
        <strong>
          <span aria-hidden="true">{shapes[tone]}</span>{' '}
          {
            { OK: text.value.arrives, Wrong: text.value.stops(where), Unknown: text.value.unread(where) }[
              path.verdict
            ]
          }
        </strong>
        <br />
        <EndText of={path.from} /> → <EndText of={path.to} /> {path.protocol}
        {path.port === undefined ? '' : `/${path.port}`} ·{' '}
        <Age since={asked} words={text.value.answeredAgo} />
        {stop === undefined || path.verdict === 'OK' ? null : (
          <>
            <br />
            <code>{harmless(stop.evidence)}</code>
            {stop.next === undefined ? null : (
              <>
                <br />
                {text.value.remedy} {harmless(stop.next)}
              </>
            )}
          </>
        )}
      </p>
      <PathPicture path={path} legs={legs} />
      <div class="legs">
        {legs.map((leg, at) => (
          <LegCard key={leg.side} leg={leg} at={at} />
        ))}
      </div>
    </>
  );
}

const EndText = ({ of: { name, address, network } }: { of: PathEnd }) => (
  <>
    {name === undefined ? null : (
      <>
        <Name of={name} />{' '}
      </>
    )}
    <code>{address}</code>
    {network === undefined ? null : (
      <>
        {' '}
        (
        <To to={{ view: 'network', name: network }}>
          <Name of={network} />
        </To>
        )
      </>
    )}
  </>
);

const LegCard = ({ leg: { node, side, stations }, at }: { leg: DrawnLeg; at: number }) => (
  <section class="leg" aria-labelledby={`leg-${at}`}>
    <h2 id={`leg-${at}`}>
      {side === 'out' ? text.value.sends : text.value.receives}{' '}
      <To to={{ view: 'agent', name: node }}>
        <Name of={node} />
      </To>
    </h2>
    <ol class="hops">
      {stations.map((station, index) => (
        <Hop key={index} station={station} />
      ))}
    </ol>
  </section>
);

function Hop({ station }: { station: Station }) {
  const tone = stationTone(station);
  const state = station.ahead === true ? text.value.notReached : text.value.hopState[station.is];
  return (
    <li class={tone}>
      <span class="mark" aria-hidden="true">
        {shapes[tone]}
      </span>
      <strong>{text.value.hops[station.what]}</strong> <span class="verdict">{state}</span>
      {station.ahead === true ? null : <p class="evidence">{harmless(station.evidence)}</p>}
      {station.ahead === true || station.next === undefined ? null : (
        <p class="remedy">
          {text.value.remedy} {harmless(station.next)}
        </p>
      )}
    </li>
  );
}
