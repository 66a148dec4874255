// What pages can't do without a script: times in the reader's zone, copying, keys, and the state
// of the live stream. Every page works without it.
(() => {
  "use strict";
  const utc = document.documentElement.dataset.zone === "utc";
  const zone = utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;

  function localize(root) {
    if (!utc) {
      for (const t of root.querySelectorAll("time[datetime]:not([data-local])")) {
        const at = new Date(t.dateTime);
        if (isNaN(at)) continue;
        const old = Date.now() - at > 300 * 86400e3;
        t.textContent = at.toLocaleString(undefined, old
          ? { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }
          : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
        t.title += "; " + at.toLocaleString() + " " + zone;
        t.dataset.local = "";
      }
    }
    for (const b of root.querySelectorAll("[data-copy]")) b.hidden = !navigator.clipboard;
    for (const b of root.querySelectorAll("[data-tick]")) b.hidden = false;
  }

  function say(words, urgent) {
    const region = document.getElementById(urgent ? "alert" : "live");
    if (region) region.textContent = words;
  }

  const shown = document.getElementById("zone");
  if (shown) shown.textContent = zone;
  localize(document);
  document.addEventListener("htmx:after:swap", () => localize(document));

  document.addEventListener("click", async (e) => {
    const button = e.target.closest("[data-copy]");
    if (!button) return;
    const from = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText("value" in from ? from.value : from.textContent);
    say("Copied");
    const was = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = was; }, 1500);
  });

  // A form that is sent by a change of a filter.
  document.addEventListener("change", (e) => {
    if (e.target.closest("form[data-auto]") && e.target.matches("select, input[type=checkbox]")) e.target.form.requestSubmit();
  });

  // Somebody signs in, in the window that the click opened: this page looks how that goes on.
  document.addEventListener("submit", (e) => {
    if (e.target.matches("[data-connect]")) setTimeout(() => { location.href = e.target.action; }, 1000);
  });

  // Tick every endpoint that is shown.
  document.addEventListener("click", (e) => {
    const all = e.target.closest("[data-tick]");
    if (!all) return;
    const among = all.dataset.tick === "group" ? all.closest("tbody") : document;
    for (const box of among.querySelectorAll("tr:not([hidden]) input[name=endpoint]")) {
      if (all.dataset.tick !== "reads" || box.dataset.method === "GET") box.checked = all.dataset.tick !== "none";
    }
    count();
  });
  function count() {
    const out = document.getElementById("ticked");
    if (out) out.textContent = String(document.querySelectorAll("input[name=endpoint]:checked").length);
  }
  document.addEventListener("change", (e) => { if (e.target.name === "endpoint") count(); });
  document.addEventListener("input", (e) => {
    const field = e.target.closest("[data-filter]");
    if (!field) return;
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of document.getElementById(field.dataset.filter).querySelectorAll("tbody tr:not(.group)")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((w) => w.startsWith("-") && w.length > 1 ? !text.includes(w.slice(1)) : text.includes(w));
      if (!row.hidden) n++;
    }
    for (const group of document.querySelectorAll("tr.group")) group.hidden = !group.parentElement.querySelector("tr:not(.group):not([hidden])");
    say(n + " shown");
  });
  count();

  // Drag on the timeline selects a range. The picture may be drawn anew meanwhile.
  let drag = null;
  const ends = (e) => {
    const at = Math.min(1, Math.max(0, (e.clientX - drag.box.left) / drag.box.width));
    return [Math.min(drag.start, at), Math.max(drag.start, at)];
  };
  const mark = (a, b) => {
    const band = document.querySelector("svg[data-from] .band");
    if (!band) return;
    band.setAttribute("x", a * 100 + "%");
    band.setAttribute("width", (b - a) * 100 + "%");
  };
  addEventListener("pointerdown", (e) => {
    const chart = e.button === 0 && !e.target.closest("a") && e.target.closest("svg[data-from]");
    if (!chart) return;
    const box = chart.getBoundingClientRect();
    drag = { box, start: (e.clientX - box.left) / box.width, from: Date.parse(chart.dataset.from), to: Date.parse(chart.dataset.to) };
  });
  addEventListener("pointermove", (e) => { if (drag) mark(...ends(e)); });
  addEventListener("pointerup", (e) => {
    if (!drag) return;
    const [a, b] = ends(e), { from, to } = drag;
    drag = null;
    mark(0, 0);
    if (b - a < 0.01) return;
    const url = new URL(location.href);
    url.searchParams.set("from", new Date(from + a * (to - from)).toISOString());
    url.searchParams.set("to", new Date(from + b * (to - from)).toISOString());
    location.href = url.href;
  });
  addEventListener("keydown", (e) => { if (e.key === "Escape" && drag) { drag = null; mark(0, 0); } });

  // The stream of live rows.
  document.addEventListener("htmx:sse:error", (e) => {
    const state = document.getElementById("stream");
    const status = e.detail && (e.detail.status || (e.detail.response && e.detail.response.status));
    if (!state) return;
    if (status === 401 || status === 403) {
      state.textContent = "Signed out";
      const stream = document.querySelector("[hx-sse\\:connect]");
      if (stream) stream.remove();
      say("The session has ended. Reload the page to sign in again.", true);
    } else {
      state.textContent = "Reconnecting …";
    }
  });
  document.addEventListener("click", (e) => {
    if (!e.target.closest("#fresh")) return;
    location.reload();
  });

  // Keys: / search, g and a letter to go, j and k through rows. The page of the system turns them off.
  let go = false;
  const setting = document.getElementById("keys");
  if (setting) {
    document.getElementById("keys-setting").hidden = false;
    setting.checked = localStorage.getItem("console-keys") !== "off";
    setting.addEventListener("change", () => localStorage.setItem("console-keys", setting.checked ? "on" : "off"));
  }
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && e.target.form && e.target.form.matches("[data-run]")) e.target.form.requestSubmit();
      return;
    }
    if (e.target.closest("input, textarea, select, [contenteditable]") || localStorage.getItem("console-keys") === "off") return;
    if (go) {
      go = false;
      const link = document.querySelector(`[data-go="${CSS.escape(e.key)}"]`);
      if (link) { e.preventDefault(); location.href = link.href; }
      return;
    }
    const rows = [...document.querySelectorAll("tbody th a, tbody td:first-child a")];
    switch (e.key) {
      case "g": go = true; setTimeout(() => { go = false; }, 1500); break;
      case "/": { const s = document.querySelector("input[type=search]"); if (s) { e.preventDefault(); s.focus(); } break; }
      case "j": case "k": {
        if (!rows.length) break;
        const now = rows.indexOf(document.activeElement);
        rows[Math.min(rows.length - 1, Math.max(0, now + (e.key === "j" ? 1 : -1)))].focus();
        break;
      }
      case "[": case "]": { const link = document.querySelector(e.key === "[" ? "[data-earlier]" : "[data-later]"); if (link) location.href = link.href; break; }
    }
  });
})();
