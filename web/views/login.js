// Before anything else: a link from the terminal, or a token. Nothing of the daemon is seen without.
import { html, useState } from '../lib/html.js';
import { call } from '../lib/api.js';
import { enter, session } from '../lib/session.js';
import { useSignal } from '../lib/signal.js';
import { t } from '../lib/words.js';
import { Button, CopyBox, Field } from '../ui/basics.js';

/** Tries the token before the page opens with it, so that a wrong one is told here; one of few scopes is right. */
async function tryToken(text) {
  await call('GET', '/v1/system', { as: text }).catch((error) => { if (error.status !== 403) throw error; });
  enter(text);
}

export function Login() {
  const { state } = useSignal(session);
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await tryToken(new FormData(event.target).get('token').trim());
    } catch (refused) {
      setError(refused.message);
      setBusy(false);
    }
  };
  return html`<div class="narrow">
    <h1 tabindex="-1">${t.login.title}</h1>
    ${state === 'expired' && html`<p class="bar warn" role="alert">${t.login.expired}</p>`}
    <p>${t.login.how}</p>
    <${CopyBox} text="forkful login" label=${t.login.how} />
    <p>${t.login.where}</p>
    <form class="stack" onSubmit=${submit}>
      <${Field} id="token" label=${t.login.token} hint=${t.login.stays} error=${error}>
        <input id="token" name="token" type="password" class="mono" autocomplete="off" spellcheck="false" required
            placeholder="fkf_…" aria-describedby="token-hint" />
      <//>
      <div class="row"><${Button} type="submit" kind="main" disabled=${busy}>${busy ? t.login.opening : t.login.open}<//></div>
    </form>
  </div>`;
}
