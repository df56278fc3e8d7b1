// How numbers and dates are written.

const exact = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 3});
const percent = new Intl.NumberFormat("en", {style: "percent", maximumFractionDigits: 0});

// 1,234 in full, 1.23M where it would no longer fit; `full` is for a title.
export const count = (n) => (n < 1e6 ? exact.format(n) : short.format(n));
export const full = (n) => exact.format(n);
export const brief = (n) => (n < 1e4 ? exact.format(n) : short.format(n));

// "1 view", "2 views".
export const amount = (n, noun) => `${full(n)} ${noun}${n == 1 ? "" : "s"}`;

export const share = (ratio) => percent.format(ratio);

// Dates are YYYY-MM-DD throughout, without a zone: they are taken for UTC to be written.
const formats = {
  day: {weekday: "short", day: "numeric", month: "short"},
  date: {day: "numeric", month: "long", year: "numeric"},
  tick: {day: "numeric", month: "short"},
  month: {month: "long", year: "numeric"},
  monthTick: {month: "short", year: "2-digit"},
};
for (const name in formats)
  formats[name] = new Intl.DateTimeFormat("en-GB", {...formats[name], timeZone: "UTC"});

export const date = (day, format = "date") => formats[format].format(new Date(day + "T00:00Z"));

export const days = (from, to) =>
  from == to ? date(from) : formats.date.formatRange(new Date(from), new Date(to));
