// The chart: a bar for the views of each bucket, and in it the bar of its visitors.

import {amount, brief, date} from "./text.js";

const HEIGHT_PX = 260;
const WIDTH_PX = 600; // while it is hidden
const TICK_PX = 80; // room for a text below the axis
const STEPS = {
  hour: [1, 2, 3, 4, 6, 12, 24],
  day: [1, 2, 7, 14, 28],
  week: [1, 2, 4, 13, 26, 52],
  month: [1, 2, 3, 6, 12, 24, 60],
};

export class Chart {
  constructor(element, onRead) {
    this.element = element;
    this.onRead = onRead; // called with the words for a bucket, or with null
    this.rows = [];
    this.interval = "day";
    this.plot = null;
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    element.addEventListener("keydown", (event) => this.onKey(event));
    element.addEventListener("blur", () => this.plot?.setCursor({left: -10, top: -10}));
  }

  // Rows are those of /stats/timeseries; `noun` is what is counted.
  show({rows, interval}, noun) {
    const same = this.plot && this.interval == interval && this.rows.length == rows.length;
    Object.assign(this, {rows, interval, noun});
    if (same) this.plot.setData(this.data());
    else this.draw();
    this.read(this.plot.cursor.idx ?? null);
  }

  draw() {
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), this.data(), this.element);
  }

  // A bucket's position is its place in the row, not its time: all bars are equally wide, also
  // that of a day with 25 hours. Their names are cut from the local time that the API tells.
  data() {
    return [
      this.rows.map((_, i) => i),
      this.rows.map((row) => row.views),
      this.rows.map((row) => row.users),
    ];
  }

  size() {
    return {width: this.element.clientWidth || WIDTH_PX, height: HEIGHT_PX};
  }

  options() {
    const style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(name);
    const paths = uPlot.paths.bars({size: [0.8, 48], radius: 0.12});
    const font = `12px ${style.fontFamily}`;
    return {
      ...this.size(),
      padding: [8, 0, 0, 0],
      legend: {show: false},
      cursor: {
        y: false,
        drag: {setScale: false, x: false, y: false},
        points: {show: false},
        move: (plot, left, top) => [this.middle(plot, left), top],
      },
      select: {show: false},
      scales: {
        x: {time: false, range: () => [-0.5, Math.max(this.rows.length, 1) - 0.5]},
        y: {range: (_, __, max) => [0, Math.max(max, 4) * 1.06]},
      },
      series: [
        {},
        {paths, fill: colour("--views"), width: 0, points: {show: false}},
        {paths, fill: colour("--visitors"), width: 0, points: {show: false}},
      ],
      axes: [
        {
          font,
          stroke: colour("--muted"),
          grid: {show: false},
          ticks: {show: false},
          size: 28,
          splits: (plot) => this.ticks(plot.width),
          values: (_, splits) => splits.map((i) => this.tick(i)),
        },
        {
          font,
          stroke: colour("--muted"),
          grid: {stroke: colour("--line"), width: 1},
          ticks: {show: false},
          size: 44,
          space: 56,
          incrs: [1, 2, 5].flatMap((n) => [...Array(13)].map((_, e) => n * 10 ** e)).sort((a, b) => a - b),
          values: (_, splits) => splits.map(brief),
        },
      ],
      hooks: {setCursor: [(plot) => this.read(plot.cursor.idx ?? null)]},
    };
  }

  // The cursor is a band over a whole bucket, as wide as --bucket.
  middle(plot, left) {
    if (left < 0 || !this.rows.length) return left;
    const width = plot.over.clientWidth / this.rows.length;
    this.element.style.setProperty("--bucket", `${width}px`);
    return (Math.min(Math.floor(left / width), this.rows.length - 1) + 0.5) * width;
  }

  ticks(width) {
    const wanted = (this.rows.length * TICK_PX) / width;
    const steps = STEPS[this.interval];
    const step = steps.find((step) => step >= wanted) || Math.ceil(wanted);
    const last = this.rows.length - wanted / 4; // or its text would be cut at the edge
    return [...Array(Math.ceil(last / step))].map((_, n) => n * step);
  }

  tick(i) {
    const start = this.rows[i]?.start;
    if (!start) return "";
    if (this.interval == "month") return date(start.slice(0, 10), "monthTick");
    const time = start.slice(11, 16);
    return this.interval == "hour" && time != "00:00" ? time : date(start.slice(0, 10), "tick");
  }

  name(start) {
    const day = start.slice(0, 10);
    if (this.interval == "hour") return `${date(day, "day")}, ${start.slice(11, 16)}`;
    if (this.interval == "month") return date(day, "month");
    return this.interval == "week" ? `Week of ${date(day, "date")}` : date(day, "day");
  }

  read(i) {
    const row = this.rows[i];
    const words =
      row &&
      `${this.name(row.start)}: ${amount(row.views, this.noun)}, ${amount(row.users, "visitor")}`;
    const {element} = this;
    element.setAttribute("aria-valuemin", 0);
    element.setAttribute("aria-valuemax", Math.max(this.rows.length - 1, 0));
    element.setAttribute("aria-valuenow", i ?? 0);
    element.setAttribute("aria-valuetext", words || "the arrow keys read out one bar after another");
    this.onRead(words || null);
  }

  onKey(event) {
    const last = this.rows.length - 1;
    const at = this.plot?.cursor.idx;
    const to = {
      ArrowLeft: (at ?? last + 1) - 1,
      ArrowRight: (at ?? -1) + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const left = this.plot.valToPos(Math.min(Math.max(to, 0), last), "x");
    this.plot.setCursor({left, top: 0});
  }
}
