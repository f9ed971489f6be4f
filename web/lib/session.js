// Who we are: the token, its scopes, and how one gets it. The token lives in this tab's sessionStorage and goes into the
// Authorization header, never into an address or a cookie.
import { signal } from './signal.js';

const KEY = 'forkful-token';

/** 'out': no token. 'in': we have one. 'expired': the daemon no longer takes it. `scopes`: null while unknown. */
export const session = signal({ state: sessionStorage.getItem(KEY) ? 'in' : 'out', scopes: null });

export const token = () => sessionStorage.getItem(KEY);

export function enter(text) {
  sessionStorage.setItem(KEY, text);
  session.value = { state: 'in', scopes: null };
}

export function leave(state = 'out') {
  sessionStorage.removeItem(KEY);
  session.value = { state, scopes: null };
}

/** What `scope` lets one do is not offered to whom the daemon said that he may not. */
export function may(scope) {
  const { scopes } = session.value;
  return !scopes || scopes.includes('admin') || scopes.includes(scope);
}
