// The three figures, and how two of them have changed since the period before.

import {count, date, full, share} from "./text.js";

const $ = (id) => document.getElementById(id);

export function showFigures(figures, before, span) {
  showFigure("visitors", figures.unique_users, before?.unique_users, span);
  showFigure("views", figures.total_views, before?.total_views, span);
}

function showFigure(id, now, before, span) {
  write($(id), now);
  $(`${id}-change`).textContent = span.before ? change(now, before, span) : `since ${date(span.from)}`;
}

export function showLive({users, views}) {
  write($("now"), users);
  $("live").classList.toggle("live", views > 0);
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
