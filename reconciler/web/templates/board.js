// Asks for the page's own part again whenever the daemon says that something changed; without this
// script the page reloads itself.
"use strict";
const live = document.getElementById("live");
const REFRESH_MS = 30000; // "ago" grows old where nothing else changes

async function refresh() {
  try {
    const answer = await fetch(live.dataset.part);
    if (!answer.ok) return;
    live.innerHTML = await answer.text();
    document.title = live.querySelector("[data-title]")?.dataset.title ?? document.title;
    document.body.classList.remove("is-lost");
  } catch {
    document.body.classList.add("is-lost");
  }
}

const stream = new EventSource("/events");
stream.addEventListener("changed", refresh);
stream.onerror = () => document.body.classList.add("is-lost");
stream.onopen = () => document.body.classList.remove("is-lost");
setInterval(refresh, REFRESH_MS);
