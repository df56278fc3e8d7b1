// The three figures, and how two of them have changed since the period before.

import {count, date, full, share} from "./text.js";

const $ = (id) => document.getElementById(id);

export function showFigures({unique_users, total_views}) {
  write($("visitors"), unique_users);
  write($("views"), total_views);
}

export function showLive({users, views}) {
  write($("now"), users);
  $("live").classList.toggle("live", views > 0);
}

// `before` is null when there is no period before this one.
export function showChange(figures, before, span) {
  const words = (name) =>
    before ? change(figures[name], before[name], span) : `since ${date(span.from)}`;
  $("visitors-change").textContent = words("unique_users");
  $("views-change").textContent = words("total_views");
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
