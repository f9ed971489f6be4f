// Starting a process.
import { html } from '../lib/html.js';
import { t } from '../lib/words.js';

export const Start = () => html`<h1 tabindex="-1">${t.app.start}</h1>`;
