// The tracker: tells Footfall of page views, of how long they were read, and of events of one's own.
// No cookies; nothing is stored but a visitor's wish not to be counted.
//
//   <script defer src="https://stats.example.com/tracker.js" data-site="example.com"></script>
//
//   data-site        the site_id of all events
//   data-hash        what follows the # is a page of its own (hash routing)
//   data-local       count visits to localhost, too
//   data-clicks      clicks on what this CSS selector finds are events: "outbound" where a link leads
//                    to another host, else "download"
//
// footfall("signup", {plan: "pro"}) sends an event of one's own. For calls before this has loaded:
//
//   window.footfall = window.footfall || function () {(footfall.q = footfall.q || []).push(arguments)}
//
// A click on or within <button data-footfall="signup"> sends one, too.
// Who opens a page of the site with #footfall-off is not counted until one with #footfall-on.
//
// Browsers get tracker.min.js: python -m tests.minify
(() => {
  const {src, dataset: options} = document.currentScript;
  let off =
    navigator.doNotTrack == 1 ||
    navigator.globalPrivacyControl ||
    (!("local" in options) && /localhost$|^127\./.test(location.hostname));
  let engaged = 0;
  let lastPath, since, lowest;

  // A query string may hold what is nobody's business.
  const bare = (url) => url.split(/[?#]/)[0].slice(0, 2048);

  // What brought the visit here: of the query the campaign, and that an ad was clicked, not by whom.
  let entry = {}; // one's own pages are no source
  if (document.referrer.split("/")[2] != location.host)
    entry.referrer = bare(document.referrer) || undefined;
  for (const [key, value] of new URLSearchParams(location.search)) {
    if (/^(li_fat_id|[gw]braid|(g|ms|fb|tt|tw)clid)$/.test(key)) entry.click_id = key;
    if (/^(ref|source|utm_(source|medium|campaign|content|term))$/.test(key))
      entry[key[6] ? key : "utm_source"] ||= /\P{Cc}{1,255}/u.exec(value)?.[0]; // of three one
  }

  const on = (types, handler) =>
    types.split(" ").forEach((type) => addEventListener(type, handler, true));

  const path = () =>
    bare(location.pathname) + ("hash" in options ? location.hash.split("?")[0] : "");

  const track = (event_type, more) =>
    off ||
    send(
      JSON.stringify({
        site_id: options.site,
        event_type,
        path: path(),
        hostname: location.hostname,
        time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        // The same at every try, so that one whose answer was lost counts once.
        event_id: "" + Date.now() + Math.random(),
        ...more,
      }),
      1e3
    );

  // A string as the body is text/plain, for which a browser asks no leave beforehand (preflight);
  // keepalive lets it arrive although the page has been left.
  const send = (body, wait) => {
    const again = () => wait < 1e5 && setTimeout(send, wait, body, wait * 4);
    fetch(new URL("event?visitor=daily", src), {
      method: "POST",
      body,
      keepalive: true,
      credentials: "omit",
    }).then(
      (answer) =>
        answer.status > 499 ? again() : answer.ok || answer.text().then(console.warn),
      again
    );
  };

  // Time counts while the page is in view and in use: from one sign of use to the next, and of a
  // longer silence the first half minute, so that a page left open reads no book.
  const use = () => {
    const now = Date.now();
    if (since) engaged += Math.min(now - since, 3e4);
    since = !document.hidden && now;
    lowest = Math.max(lowest, scrollY + innerHeight);
  };

  const report = () => {
    use();
    if (engaged > 1)
      track("engagement", {
        path: lastPath,
        engaged_ms: ~~engaged,
        scroll: Math.min((lowest / document.documentElement.scrollHeight) * 100, 100) | 0,
      });
    engaged = 0;
  };

  const view = (event) => {
    if (event?.persisted || path() != lastPath) {
      report();
      lowest = 0;
      lastPath = path();
      track("page_view", entry);
      entry = {}; // the pages after the first were reached from within
    }
  };

  const choose = () => {
    const wish = location.hash.split("footfall-")[1];
    try {
      if (wish) alert((localStorage.footfall = wish));
      off ||= localStorage.footfall == "off";
    } catch {} // where nothing may be stored, nothing was
  };

  const start = () => {
    choose();
    view();
    const early = window.footfall?.q;
    window.footfall = (type, props) => track(type, {props});
    footfall.q = {push: (call) => footfall(...call)}; // for who kept the stub from before
    early?.forEach(footfall.q.push);
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = (...call) => {
        original.apply(history, call);
        view();
      };
    }
    on("scroll pointermove keydown", use);
    on("visibilitychange", report);
    on("click", ({target}) => {
      const hit = target.closest("[data-footfall]," + options.clicks);
      if (hit)
        track(
          hit.dataset.footfall || (hit.host == location.host ? "download" : "outbound"),
          hit.href && {props: {url: bare(hit.href)}}
        );
    });
    on("popstate pageshow", view); // the first also when only what follows the # has changed;
    on("hashchange", choose); // the second for a page that was kept in memory: nothing loads
  };

  document.prerendering ? on("prerenderingchange", start) : start();
})();
