import { useSignal } from '@preact/signals';
import { harmless } from '../api/text.ts';
import { refusal, session, signIn } from './api.ts';
import { Heading } from './heading.tsx';
import { text } from './texts.ts';

/** The form for a token, if the operator needs one. */
export function SignIn() {
  const token = useSignal('');
  if (session.value === 'looking') return <p role="status">{text.value.looking}</p>;
  const submit = (event: Event) => {
    event.preventDefault();
    const given = token.value.trim();
    if (given !== '') void signIn(given);
  };
  return (
    <form class="signin" onSubmit={submit}>
      <Heading title={text.value.signIn} />
      {refusal.value === '' ? null : (
        <p class="problem" role="alert">
          {harmless(refusal.value)}
        </p>
      )}
      <label>
        {text.value.token}
        <input
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={token.value}
          aria-describedby="token-help"
          onInput={(event) => (token.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="first">
        {text.value.signIn}
      </button>
      <div id="token-help">
        <p>{text.value.tokenHelp}</p>
        <pre tabIndex={0}>kubectl create token -n overlaynet-system overlaynet-inspector</pre>
        <p>{text.value.tokenUI}</p>
        <pre tabIndex={0}>kubectl overlay ui</pre>
      </div>
    </form>
  );
}
