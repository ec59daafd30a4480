// Pages follow what happens. Everything here only asks for the same pages again; without it they are as whole.
"use strict";

// Of this server, also where the page was opened with a name and a password in its address: a browser sends nothing there.
const own = (path) => location.origin + path;

// A run that goes on: its events say when to ask for the changing part again, once a second at most.
const main = document.getElementById("main");
const run = main && main.dataset.follows;
if (run) {
  let due = false, busy = false;
  const place = document.getElementById("progress");
  const refresh = async () => {
    if (busy) { due = true; return; }
    busy = true; due = false;
    try {
      const answer = await fetch(own("/runs/" + encodeURIComponent(run) + "/progress"));
      if (answer.ok) {
        const open = [...place.querySelectorAll("details")].map((one) => one.open);
        place.innerHTML = await answer.text();
        place.querySelectorAll("details").forEach((one, at) => { one.open = open[at] || false; });
      }
      place.classList.toggle("stale", !answer.ok);
    } catch { place.classList.add("stale"); }
    setTimeout(() => { busy = false; if (due) refresh(); }, 1000);
  };
  const events = new EventSource(own("/api/v1/runs/" + encodeURIComponent(run) + "/events?since_ms=" + Date.now()));
  const kinds = ["wave_started", "wave_finished", "attempt_started", "attempt_failed", "progress", "tenant_finished",
    "gate_started", "gate_finished", "pause_requested", "draining", "cancelling", "hook_finished", "outside_window",
    "server_load", "overloaded"];
  kinds.forEach((kind) => events.addEventListener(kind, refresh));
  events.addEventListener("ended", () => { events.close(); location.reload(); });
  events.onerror = () => { place.classList.add("stale"); };
  events.onopen = refresh;
  // Ages grow also where nothing happens.
  setInterval(refresh, 5000);
}

// The matrix: its rows follow what is typed and chosen.
const filter = document.getElementById("filter");
const result = document.getElementById("result");
if (filter && result) {
  let timer = 0, last = 0;
  const show = async () => {
    const query = new URLSearchParams([...new FormData(filter)].filter(([, value]) => value));
    const address = "/" + (query.size ? "?" + query : "");
    const turn = ++last;
    result.classList.add("stale");
    try {
      const answer = await fetch(own(address));
      if (turn !== last) return;
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        result.innerHTML = page.getElementById("result").innerHTML;
        history.replaceState(null, "", address);
        result.classList.remove("stale");
      }
    } catch { /* The rows stay as they are, and look so. */ }
  };
  const soon = (wait) => { clearTimeout(timer); timer = setTimeout(show, wait); };
  filter.addEventListener("input", (event) => soon(event.target.type === "search" ? 200 : 0));
  filter.addEventListener("submit", (event) => { event.preventDefault(); soon(0); });
}
