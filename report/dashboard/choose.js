// The form that chooses what is shown, and the filters that are set.

import {zones} from "./address.js";
import {element} from "./element.js";
import {FILTERS} from "./panels.js";
import {RANGES} from "./range.js";

const form = document.getElementById("choose");
const filters = document.getElementById("filters");

// `onChange` is called with the fields of the state that change.
export function listen(onChange) {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({target: {name, value}}) => {
    if (!value) return; // a date that is being typed
    if (name == "site_id") onChange({site_id: value, ...without(Object.keys(FILTERS))});
    else onChange({[name]: value});
  });
  filters.addEventListener("click", ({target}) => {
    const button = target.closest("button");
    if (button) onChange(without([button.name]));
  });
}

const without = (names) => Object.fromEntries(names.map((name) => [name, null]));

export function showChoice(state, sites) {
  document.title = state.site_id ? `${state.site_id} · Footfall` : "Footfall";
  const fields = form.elements;
  const names = sites.map((site) => site.site_id).sort((a, b) => a.localeCompare(b));
  offer(fields.site_id, names.map((name) => [name, name]), state.site_id);
  offer(fields.range, Object.entries(RANGES), state.range);
  // four hundred zones can wait until the page stands
  if (sites.length) offer(fields.tz, zones().map((zone) => [zone, zone.replaceAll("_", " ")]), state.tz);
  else offer(fields.tz, [], state.tz);
  for (const name of ["from", "to"]) fields[name].value = state[name] || "";
  for (const label of form.querySelectorAll(".custom")) label.hidden = state.range != "custom";
  showFilters(state);
}

// Also what is not on the list can be chosen, by the address.
function offer(select, pairs, chosen) {
  if (!pairs.some(([value]) => value == chosen)) pairs = [[chosen, chosen], ...pairs];
  const key = JSON.stringify(pairs);
  if (select.dataset.key != key) {
    select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
    select.dataset.key = key;
  }
  select.value = chosen;
}

function showFilters(state) {
  const set = Object.keys(FILTERS).filter((name) => state[name] != null);
  filters.replaceChildren(...set.map((name) => filter(name, state[name] || "none")));
  filters.hidden = !set.length;
}

function filter(name, value) {
  const text = [`${FILTERS[name]}:`, element("b", {}, value)];
  const button = element("button", {type: "button", name, title: value}, ...text);
  button.setAttribute("aria-label", `Remove the filter ${FILTERS[name]}: ${value}`);
  return element("li", {}, button);
}
