// The tracker: tells Footfall of page views and custom events. No cookies, nothing stored.
//
//   <script defer src="https://stats.example.com/tracker.js" data-site="example.com"></script>
//
//   data-site    the site_id of all events
//   data-hash    what follows the # is a page of its own (hash routing)
//   data-local   count visits to localhost, too
//
// footfall("signup", {plan: "pro"}) sends an event of one's own. For calls before this has loaded:
//
//   window.footfall = window.footfall || function () {(footfall.q = footfall.q || []).push(arguments)}
//
// Browsers get tracker.min.js: python -m rjsmin < ingest/tracker.js > ingest/tracker.min.js
(() => {
  const script = document.currentScript;
  const options = script.dataset;
  const endpoint = new URL("event?visitor=daily", script.src);
  const early = (window.footfall && footfall.q) || [];
  let lastPath;
  // A query string may hold what is nobody's business, and one's own pages are no source of visits.
  let referrer = document.referrer.split(/[?#]/)[0].slice(0, 2048);
  if (referrer.split("/")[2] == location.host) referrer = "";

  const path = () =>
    (location.pathname + ("hash" in options ? location.hash.split("?")[0] : "")).slice(0, 2048);

  const track = (type, props) =>
    send(
      JSON.stringify({
        site_id: options.site,
        event_type: type,
        path: path(),
        referrer: (type == "page_view" && referrer) || undefined,
        props,
        // The same at every try, so that one whose answer was lost counts once.
        event_id: crypto.getRandomValues(new Uint32Array(2)).join("-"),
      }),
      1e3
    );

  // A string as the body is text/plain, for which a browser asks no leave beforehand (preflight);
  // keepalive lets it arrive although the page has been left.
  const send = (body, wait) => {
    const again = () => wait < 1e5 && setTimeout(send, wait, body, wait * 4);
    fetch(endpoint, {method: "POST", body, keepalive: true, credentials: "omit"}).then(
      (answer) =>
        answer.status > 499 ? again() : answer.ok || answer.text().then(console.warn),
      again
    );
  };

  const view = () => {
    if (path() != lastPath) {
      lastPath = path();
      track("page_view");
      referrer = ""; // the pages after the first were reached from within
    }
  };

  const start = () => {
    view();
    early.forEach((call) => track(...call));
    track.q = {push: (call) => track(...call)}; // who kept the stub from before may go on with it
    window.footfall = track;
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function () {
        original.apply(this, arguments);
        view();
      };
    }
    addEventListener("popstate", view); // also when only what follows the # has changed
    addEventListener("pageshow", (event) => {
      if (event.persisted) lastPath = ""; // back on a page kept in memory: nothing loads
      view();
    });
  };

  // Until a prerendered page is shown, and for good where nothing is to be counted.
  window.footfall = (...call) => early.push(call);
  if (
    navigator.doNotTrack == 1 ||
    navigator.globalPrivacyControl ||
    (/^(|127\..*|\[::1\]|(.*\.)?localhost)$/.test(location.hostname) && !("local" in options))
  )
    window.footfall = () => {};
  else if (document.prerendering) document.addEventListener("prerenderingchange", start);
  else start();
})();
