// Swagger UI over this daemon's own document. Calls carry the token of this tab, which the dashboard keeps.
const token = sessionStorage.getItem('forkful-token');

window.SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#app',
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (token) request.headers.Authorization ??= `Bearer ${token}`;
    return request;
  },
});
