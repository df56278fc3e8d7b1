// What is on the page, one row each: the figures at its top, and the tables below its chart.

import {element} from "./element.js";

// `name` is the figure's in /stats, `id` its element's.
export const FIGURES = [
  {id: "visitors", name: "unique_users", title: "Visitors"},
  {id: "views", name: "total_views", title: "Views"},
];

// `name` is the dimension's in the API: the table is a breakdown by it, a click a filter. `none`
// names the events that have no such value; `hint` is shown when there are no rows; `without` are
// values that have a figure of their own, or are no event of their own.
export const PANELS = [
  {name: "path", title: "Page", label: "Top pages", none: "(none)", hint: "No pages in this time."},
  {
    name: "referrer_host",
    title: "Referrer",
    label: "Top referrers",
    none: "Direct or internal",
    hint: "No referrers in this time.",
  },
  {
    name: "event_type",
    title: "Event",
    label: "Top events",
    heading: "Events",
    without: ["page_view", "engagement"],
    hint: 'No events but page views. A page sends one with footfall("signup").',
  },
];

export const FILTERS = Object.fromEntries(PANELS.map(({name, title}) => [name, title]));

const $ = (id) => document.getElementById(id);

// Their places on the page, before there is anything to show in them.
export function place() {
  for (const {id, title} of FIGURES) {
    const label = element("dt", {id: `${id}-label`}, title);
    const change = element("dd", {id: `${id}-change`, className: "change"});
    $("live").before(element("div", {}, label, element("dd", {id}, "–"), change));
  }
  for (const {name, label} of PANELS) {
    const section = element("section", {id: name});
    section.setAttribute("aria-label", label);
    $("tables").append(section);
  }
}
