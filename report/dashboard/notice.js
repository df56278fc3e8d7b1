// What is said when there are no figures to show: nothing yet, nothing here, trouble, no token.

import {Failure, forgetToken, keepToken} from "./api.js";
import {FILTERS} from "./panels.js";
import {date} from "./text.js";

const $ = (id) => document.getElementById(id);

export function listen({onRetry, onAllTime}) {
  $("trouble").querySelector("button").onclick = onRetry;
  $("nothing").querySelector("button").onclick = onAllTime;
  $("key").addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken($("key").elements.token.value);
    onRetry();
  });
}

// There is no such site yet, or none at all: how to send the first event.
export function showWelcome(empty, site_id, sites) {
  $("welcome").hidden = !empty;
  $("report").hidden = empty;
  $("choose").hidden = !sites.length;
  $("welcome").querySelector("h2").textContent = site_id
    ? `No events of ${site_id} yet`
    : "No events yet";
  for (const name of $("welcome").querySelectorAll(".name"))
    name.textContent = site_id || "example.com";
}

// The site has events, but none are selected.
export function showNothing(views, state, site) {
  const [text, button] = $("nothing").children;
  const filtered = Object.keys(FILTERS).some((name) => state[name] != null);
  $("nothing").hidden = views > 0;
  text.textContent = filtered
    ? "Nothing matches these filters in this time."
    : `No page views in this time. The last event was on ${date(site.last_event.slice(0, 10))}.`;
  button.hidden = state.range == "all";
}

// `error` is null when all went well.
export function settle(error) {
  const closed = error?.status == 401;
  $("report").setAttribute("aria-busy", "false");
  $("trouble").hidden = !error || closed;
  $("trouble").firstElementChild.textContent =
    error instanceof Failure ? error.message : "Something in this page went wrong.";
  if (closed) askForToken();
  else if (!error) $("key").hidden = true;
}

export const isAskingForToken = () => !$("key").hidden;

function askForToken() {
  const {token} = $("key").elements;
  if (token.value) $("key-trouble").textContent = "This is not the right token.";
  forgetToken();
  token.value = "";
  for (const id of ["report", "welcome", "choose"]) $(id).hidden = true;
  $("key").hidden = false;
  token.focus();
}
