// The ranges one can choose: which dates they are today, in which buckets, and what came before.

export const RANGES = {
  today: "Today",
  yesterday: "Yesterday",
  "7d": "7 days",
  "30d": "30 days",
  "12m": "12 months",
  all: "All time",
  custom: "Custom",
};

const DAY_MS = 24 * 3600 * 1000;
const HOURS_DAYS_MAX = 2;
const DAYS_DAYS_MAX = 100;
const WEEKS_DAYS_MAX = 800;

// The date that the clocks of a zone show.
export const today = (tz, now = new Date()) =>
  new Intl.DateTimeFormat("en-CA", {timeZone: tz}).format(now); // en-CA is YYYY-MM-DD

const add = (day, n) => new Date(Date.parse(day) + n * DAY_MS).toISOString().slice(0, 10);

const yearBefore = (day) => add(`${day.slice(0, 4) - 1}${day.slice(4).replace("02-29", "02-28")}`, 0);

// Both ends included. `before` is the period of the same length that came before; `running`: the
// last day is not over. `site`, a row of /sites, tells when "all time" began.
export function span(state, site) {
  const now = today(state.tz);
  const [from, to] = state.range == "all" && site ? life(site, state.tz, now) : dates(state, now);
  const length = Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;
  return {
    from,
    to,
    interval: interval(length),
    before: before(state.range, from, length),
    beforeName: beforeName(state.range, length),
    running: from <= now && now <= to,
  };
}

function life(site, tz, now) {
  const [first, last] = [site.first_event, site.last_event].map((t) => today(tz, new Date(t)));
  return [first, last > now ? last : now];
}

function dates({range, from, to}, now) {
  switch (range) {
    case "today":
      return [now, now];
    case "yesterday":
      return [add(now, -1), add(now, -1)];
    case "30d":
      return [add(now, -29), now];
    case "12m":
      return [add(yearBefore(now), 1), now];
    case "custom":
      return from <= to ? [from, to] : [to, from];
    default:
      return [add(now, -6), now];
  }
}

function interval(length) {
  if (length <= HOURS_DAYS_MAX) return "hour";
  if (length <= DAYS_DAYS_MAX) return "day";
  return length <= WEEKS_DAYS_MAX ? "week" : "month";
}

function before(range, from, length) {
  if (range == "all") return null;
  return {from: range == "12m" ? yearBefore(from) : add(from, -length), to: add(from, -1)};
}

function beforeName(range, length) {
  if (range == "today") return "yesterday";
  if (range == "12m") return "in the 12 months before";
  return length == 1 ? "on the day before" : `in the ${length} days before`;
}
