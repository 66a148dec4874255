// A browser, as far as the pages of oidc-provider need one: it keeps cookies, follows
// redirects, signs in with a name and consents.

/** Opens a page, signs in, and returns the URL that the browser is sent back to. */
export async function signIn(start, name, redirectURI) {
  const cookies = new Map();
  let at = new URL(start);
  let body;
  for (let n = 0; n < 20; n += 1) {
    if (at.href.startsWith(redirectURI)) return at;
    const response = await fetch(at, {
      redirect: 'manual',
      method: body ? 'POST' : 'GET',
      body,
      headers: { cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join('; ') },
    });
    for (const line of response.headers.getSetCookie()) {
      const [key, ...value] = line.split(';')[0].split('=');
      cookies.set(key, value.join('='));
    }
    body = undefined;
    if (response.status >= 300 && response.status < 400) {
      at = new URL(response.headers.get('location'), at);
      continue;
    }
    const page = await response.text();
    const action = page.match(/<form[^>]* action="([^"]+)"/);
    const prompt = page.match(/name="prompt" value="(\w+)"/);
    if (!action || !prompt) throw new Error(`${response.status} at ${at}: ${page.slice(0, 500)}`);
    at = new URL(action[1].replaceAll('&amp;', '&'), at);
    body = new URLSearchParams(prompt[1] === 'login' ? { prompt: 'login', login: name, password: 'any' } : { prompt: prompt[1] });
  }
  throw new Error(`the browser was never sent back: it is at ${at}`);
}
