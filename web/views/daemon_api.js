// Where the API is described: the document, and Swagger UI when the build has it (make SWAGGER=1).
import { html, useEffect, useState } from '../lib/html.js';
import { t } from '../lib/words.js';

const w = t.daemon;
const SWAGGER = '/web/swagger/index.html';

export function Api() {
  const [embedded, setEmbedded] = useState(null);
  useEffect(() => { fetch(SWAGGER, { method: 'HEAD' }).then((answer) => setEmbedded(answer.ok), () => {}); }, []);
  return html`<div class="page"><h2>${w.api}</h2><p>${w.apiText}</p>
    <ul><li><a href="/openapi.yaml" target="_blank">openapi.yaml</a></li><li><a href="/openapi.json" target="_blank">openapi.json</a></li>
      ${embedded && html`<li><a href=${SWAGGER}>${w.swagger}</a></li>`}</ul>
    ${embedded === false && html`<p class="soft">${w.swaggerNone}</p>`}</div>`;
}
