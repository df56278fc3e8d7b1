// The figures, and how they have changed since the period before.

import {FIGURES} from "./panels.js";
import {count, date, full, share} from "./text.js";

const $ = (id) => document.getElementById(id);

export function showFigures(figures) {
  for (const {id, name} of FIGURES) write($(id), figures[name]);
}

export function showLive({users, views}) {
  write($("now"), users);
  $("live").classList.toggle("live", views > 0);
}

// `before` is null when there is no period before this one.
export function showChange(figures, before, span) {
  const words = (name) =>
    before ? change(figures[name], before[name], span) : `since ${date(span.from)}`;
  for (const {id, name} of FIGURES) $(`${id}-change`).textContent = words(name);
}

function write(element, n) {
  element.textContent = count(n);
  element.title = full(n);
}

function change(now, before, {beforeName, running}) {
  if (!before) return `none ${beforeName}`;
  const ratio = now / before - 1;
  const arrow = ratio > 0 ? "↑ " : ratio < 0 ? "↓ " : "";
  return `${arrow}${share(Math.abs(ratio))}${running ? " so far" : ""} · ${count(before)} ${beforeName}`;
}
