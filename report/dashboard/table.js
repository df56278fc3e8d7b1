// A table of values, most viewed first, with bars; a click on a value filters by it.

import {element} from "./element.js";
import {brief, full} from "./text.js";

// The bars compare what has a name; the many events without one would dwarf it.
const isNamed = (row) => row.value != null;

export class Table {
  // `none` names the events that have no such value; `hint` is shown when there are no rows.
  constructor(section, {title, none, hint, onChoose, onMore}) {
    Object.assign(this, {section, none, onChoose});
    this.counted = element("th", {scope: "col"}, "Views");
    this.body = element("tbody");
    this.hint = element("p", {className: "hint", hidden: true}, hint);
    this.more = element("button", {className: "more", type: "button", hidden: true, onclick: onMore}, "More");
    this.more.setAttribute("aria-label", `More ${title.toLowerCase()}`);
    section.append(
      element(
        "table",
        {},
        element("caption", {className: "aside"}, section.getAttribute("aria-label")),
        element(
          "thead",
          {},
          element("tr", {}, element("th", {scope: "col"}, title), this.counted, element("th", {scope: "col"}, "Visitors"))
        ),
        this.body
      ),
      this.hint,
      this.more
    );
  }

  // `chosen` is the value that is filtered by, or null. All text comes from whoever sends events:
  // it is only ever set as text.
  show(rows, {chosen, more, heading}) {
    const focused = this.body.contains(document.activeElement) && document.activeElement.dataset.value;
    this.counted.textContent = heading;
    const most = Math.max(...rows.filter(isNamed).map((row) => row.views), 1);
    const share = (row) => (isNamed(row) ? row.views / most : 0);
    this.body.replaceChildren(...rows.map((row) => this.row(row, share(row), chosen)));
    this.section.classList.toggle("chosen", chosen != null);
    this.hint.hidden = rows.length > 0;
    this.more.hidden = !more;
    for (const button of this.body.querySelectorAll("button"))
      if (button.dataset.value === focused) button.focus({preventScroll: true});
  }

  row({value, views, users}, share, chosen) {
    const key = value ?? "";
    const pressed = key === chosen;
    const button = element(
      "button",
      {type: "button", title: value ?? "", onclick: () => this.onChoose(pressed ? null : key)},
      element("span", {className: isNamed({value}) ? "" : "none"}, value ?? this.none)
    );
    button.dataset.value = key;
    button.setAttribute("aria-pressed", pressed);
    const row = element(
      "tr",
      {},
      element("th", {scope: "row"}, button),
      element("td", {title: full(views)}, brief(views)),
      element("td", {title: full(users)}, brief(users))
    );
    row.style.setProperty("--share", `${share * 100}%`);
    return row;
  }
}
