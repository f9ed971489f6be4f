// Coordination.
import { html } from '../lib/html.js';
import { t } from '../lib/words.js';

export const Coordination = () => html`<h1 tabindex="-1">${t.app.coordination}</h1>`;
