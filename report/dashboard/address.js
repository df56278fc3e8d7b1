// What is shown, kept in the page's address: it can be bookmarked, sent, and gone back from.

import {FILTERS} from "./panels.js";
import {RANGES, today} from "./range.js";

const DATE = /^\d{4}-\d\d-\d\d$/;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

// A filter is null when it is not set, and "" for events that have no such value.
export function read() {
  const given = new URLSearchParams(location.search);
  const state = {
    site_id: given.get("site_id") || "",
    range: given.get("range") in RANGES ? given.get("range") : "7d",
    tz: isZone(given.get("tz")) ? given.get("tz") : ZONE,
    from: given.get("from"),
    to: given.get("to"),
  };
  for (const name in FILTERS) state[name] = given.get(name);
  if (state.range == "custom") {
    state.from = isDate(state.from) ? state.from : today(state.tz);
    state.to = isDate(state.to) ? state.to : state.from;
  }
  return state;
}

export function write(state, {replace = false} = {}) {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value == null || (name == "site_id" && !value)) continue;
    if ((name == "from" || name == "to") && state.range != "custom") continue;
    kept.set(name, value);
  }
  const address = `?${kept}`;
  if (address == location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
}

const isDate = (text) => DATE.test(text) && !isNaN(Date.parse(text));

function isZone(text) {
  try {
    return !!text && !!new Intl.DateTimeFormat("en", {timeZone: text});
  } catch {
    return false;
  }
}

export function zones() {
  const all = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set([ZONE, "UTC", ...all])];
}
