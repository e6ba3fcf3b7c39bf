import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { age } from '../api/text.ts';
import { Agent } from './agent.tsx';
import { Agents } from './agents.tsx';
import { operatorVersion, session, signOut } from './api.ts';
import { now } from './clock.ts';
import { Containers } from './containers.tsx';
import { follow, heard, link } from './live.ts';
import { shapes } from './marks.tsx';
import { Network } from './network.tsx';
import { Overview } from './overview.tsx';
import { Path } from './path.tsx';
import { href, route, type Route } from './route.ts';
import { SignIn } from './signin.tsx';
import { switchLanguage, text } from './texts.ts';

const version = typeof OVERLAYNET_VERSION === 'string' ? OVERLAYNET_VERSION : '';

/** The whole page: its header, and the view that the URL names. */
export function Frame() {
  useSignalEffect(() => {
    document.documentElement.lang = text.value.language;
  });
  return (
    <>
      <header>
        <a class="skip" href={href(route.value)} onClick={skip}>
          {text.value.skip}
        </a>
        <a class="brand" href={href({ view: 'overview' })}>
          overlaynet
        </a>
        {session.value === 'in' ? <Views /> : null}
        <span class="right">
          {session.value === 'in' ? <Link /> : null}
          <button type="button" onClick={switchLanguage} lang={text.value.other.code}>
            {text.value.other.name}
          </button>
          {session.value === 'in' ? (
            <button
              type="button"
              onClick={() => {
                signOut();
              }}
            >
              {text.value.signOut}
            </button>
          ) : null}
        </span>
      </header>
      <main id="content" tabIndex={-1}>
        {session.value === 'in' ? <SignedIn /> : <SignIn />}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Views() {
  const views: [to: Route, label: string, own: Route['view'][]][] = [
    [{ view: 'overview' }, text.value.overview, ['overview', 'network']],
    [{ view: 'agents' }, text.value.agents, ['agents', 'agent']],
    [{ view: 'containers' }, text.value.containers, ['containers']],
    [{ view: 'path' }, text.value.path, ['path']],
  ];
  return (
    <nav aria-label={text.value.views}>
      {views.map(([to, label, own]) => (
        <a
          key={to.view}
          href={href(to)}
          aria-current={route.value.view === to.view ? 'page' : own.includes(route.value.view)}
        >
          {label}
        </a>
      ))}
    </nav>
  );
}

/** Shows whether the data is current. */
function Link() {
  const live = link.value === 'live';
  const tone = live ? 'good' : 'odd';
  return (
    <span
      class={`state ${tone}`}
      role="status"
      title={live ? text.value.operator(operatorVersion.value) : ''}
    >
      <span aria-hidden="true">{shapes[tone]}</span> {live ? text.value.live : text.value.connecting}
    </span>
  );
}

function SignedIn() {
  useEffect(follow, []);
  return (
    <>
      {link.value === 'lost' ? (
        <p class="banner" role="alert">
          {text.value.lost(age(new Date(heard.value).toISOString(), Math.max(now.value, heard.value)))}
        </p>
      ) : null}
      {version !== '' && operatorVersion.value !== '' && operatorVersion.value !== version ? (
        <p class="banner">
          {text.value.newer}{' '}
          <button
            type="button"
            onClick={() => {
              location.reload();
            }}
          >
            {text.value.reload}
          </button>
        </p>
      ) : null}
      <View />
    </>
  );
}

function View() {
  const shown = route.value;
  switch (shown.view) {
    case 'overview':
      return <Overview />;
    case 'network':
      return <Network key={shown.name} name={shown.name} />;
    case 'agents':
      return <Agents search={shown.search} />;
    case 'agent':
      return <Agent key={shown.name} name={shown.name} />;
    case 'containers':
      return <Containers {...shown} />;
    case 'path':
      return <Path {...shown} />;
  }
}
