// The public API: one question at a time, with the token when there is one.

const TOKEN = "footfall-token"; // sessionStorage: it is gone with the tab
const TRIES_MAX = 3;

// What went wrong, in words for whoever looks at the page. `status` is 0 when nothing answered.
export class Failure extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

// A shared link has its token behind the #, which no browser sends anywhere. It is kept, and taken
// out of the address at once: that is shown, and lands in histories. Was there one?
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

export async function get(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value != null) query.set(name, value);
  for (let tries = 1; ; tries++) {
    const answer = await ask(`${path}?${query}`, signal);
    if (answer.ok) return answer.json();
    if (answer.status != 503 || tries == TRIES_MAX) throw await failure(answer);
    await pause(Number(answer.headers.get("retry-after")) || 1, signal);
  }
}

async function ask(url, signal) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? {authorization: `Bearer ${token}`} : {};
  try {
    // no-cache: the browser asks with the ETag that it has, and most answers are a 304
    return await fetch(url, {headers, signal, cache: "no-cache"});
  } catch (error) {
    if (error.name == "AbortError") throw error;
    throw new Failure(0, "Footfall does not answer.");
  }
}

async function failure(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new Failure(answer.status, problem.detail || `The API answered ${answer.status}.`);
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => reject(signal.reason), {once: true});
  });
}
