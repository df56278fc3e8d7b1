// The dashboard: reads the address, asks the API, shows the answers, and asks again.

import {read, write} from "./address.js";
import {Failure, get, takeToken} from "./api.js";
import {Chart} from "./chart.js";
import * as choose from "./choose.js";
import {showChange, showFigures, showLive} from "./figures.js";
import * as notice from "./notice.js";
import {FILTERS, PANELS, place} from "./panels.js";
import {span} from "./range.js";
import {Table} from "./table.js";
import {amount, days} from "./text.js";

const FOLLOW_MS = 10_000;
const BUSY_SHARE_MAX = 0.05; // of the time, this page keeps the API busy
const ROWS = 10;
const ROWS_MORE = 20;
const SITES_MAX = 1000;

const $ = (id) => document.getElementById(id);

takeToken();
let state = read();
let sites = []; // those that one can choose from
let site; // the row of /sites of the one that is shown; undefined when it has no events
let shown = span(state); // what the figures are of
let limits = {}; // rows of each table that was asked for more
let asking = new AbortController();
let timer;

place();
const chart = new Chart($("chart"), (words) => ($("readout").textContent = words || title()));
const tables = Object.fromEntries(PANELS.map((panel) => [panel.name, table(panel)]));

function table({name, ...panel}) {
  const onChoose = (value) => go({[name]: value});
  const onMore = () => {
    limits[name] = (limits[name] || ROWS) + ROWS_MORE;
    load();
  };
  return new Table($(name), {...panel, onChoose, onMore});
}

const title = () => days(shown.from, shown.to);
const isOfViews = () => state.event_type == null || state.event_type == "page_view";
const heading = () => (isOfViews() ? "Views" : "Events"); // of a column
const noun = () => (isOfViews() ? "view" : "event"); // in a sentence

// From one state to the next

function go(change) {
  if (change.range == "custom") change = {...change, from: shown.from, to: shown.to};
  state = {...state, ...change};
  write(state);
  start();
}

function start() {
  limits = {};
  choose.showChoice(state, sites);
  load();
}

async function load({quietly = false} = {}) {
  clearTimeout(timer);
  asking.abort();
  asking = new AbortController();
  const {signal} = asking;
  const began = performance.now();
  if (!quietly) $("report").setAttribute("aria-busy", "true");
  try {
    await ask(signal, quietly);
    notice.settle(null);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Failure)) console.error(error);
    notice.settle(error);
  }
  const took = performance.now() - began;
  timer = setTimeout(follow, Math.max(FOLLOW_MS, took / BUSY_SHARE_MAX));
}

function follow() {
  if (!document.hidden && !notice.isAskingForToken()) load({quietly: true});
}

// Asking

async function ask(signal, quietly) {
  const listing = askSites(signal);
  if (!state.site_id || state.range == "all") await listing; // which tells the site and its age
  const [figures] = await Promise.all([state.site_id && askReport(signal), listing]);
  notice.showWelcome(!site, state.site_id, sites);
  if (!site) return;
  notice.showNothing(figures.total_views, state, site);
  if (!quietly) announce(figures);
}

async function askSites(signal) {
  const {rows, total} = await listSites(signal);
  sites = rows;
  if (!state.site_id && sites.length) {
    state.site_id = sites[0].site_id; // the one with most events
    write(state, {replace: true});
  }
  choose.showChoice(state, sites);
  const {site_id} = state;
  site = rows.find((row) => row.site_id == site_id);
  // the list ends somewhere, and what is shown may lie behind its end
  if (!site && total > rows.length) [site] = (await get("sites", {site_id}, signal)).rows;
}

// Who has no token may still read the one that the address names.
async function listSites(signal) {
  try {
    return await get("sites", {limit: SITES_MAX}, signal);
  } catch (error) {
    if (error.status != 401 || !state.site_id) throw error;
    return get("sites", {site_id: state.site_id}, signal);
  }
}

// What is at the top of the page comes first: all at once would make it wait for the rest.
async function askReport(signal) {
  shown = span(state, site);
  const [figures] = await Promise.all([askFigures(signal), askChart(signal), askLive(signal)]);
  await Promise.all([
    askBefore(figures, signal),
    ...PANELS.map((panel) => askTable(panel, signal)),
  ]);
  return figures;
}

// What all questions share; `period` is the one that is shown, or the one before.
function selection(period) {
  const {site_id, tz} = state;
  const filters = Object.keys(FILTERS).map((name) => [name, state[name]]);
  return {site_id, from: period.from, to: period.to, tz, ...Object.fromEntries(filters)};
}

async function askFigures(signal) {
  const figures = await get("stats", {...selection(shown), limit: 1}, signal);
  showFigures(figures);
  $("views-label").textContent = $("views-key").textContent = heading();
  return figures;
}

async function askBefore(figures, signal) {
  const {before} = shown;
  showChange(figures, before && (await get("stats", {...selection(before), limit: 1}, signal)), shown);
}

async function askChart(signal) {
  const asked = {...selection(shown), interval: shown.interval};
  chart.show(await get("stats/timeseries", asked, signal), noun());
}

async function askLive(signal) {
  showLive(await get("stats/live", {site_id: state.site_id}, signal));
}

// A table is not filtered by its own column, so that one can go from one value to the next.
async function askTable({name, without = [], heading: own}, signal) {
  const limit = limits[name] || ROWS;
  const extra = without.length;
  const asked = {...selection(shown), [name]: null, by: name, limit: limit + extra};
  const {rows, total} = await get("stats/breakdown", asked, signal);
  const listed = rows.filter((row) => !without.includes(row.value));
  tables[name].show(listed.slice(0, limit), {
    chosen: state[name],
    more: total > rows.length || listed.length > limit,
    heading: own || heading(),
  });
}

function announce({unique_users, total_views}) {
  const figures = `${amount(unique_users, "visitor")}, ${amount(total_views, noun())}`;
  $("status").textContent = `${state.site_id}, ${title()}: ${figures}`;
}

choose.listen(go);
notice.listen({onRetry: () => load(), onAllTime: () => go({range: "all"})});
addEventListener("hashchange", () => {
  if (takeToken()) start(); // a shared link, opened where the page is open already
});
addEventListener("popstate", () => {
  state = read();
  start();
});
document.addEventListener("visibilitychange", follow);
// The frame of the page is painted before anything is worked out.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
