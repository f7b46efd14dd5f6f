"use strict";
// Fetches the page again when the server says that something has changed, and replaces the sections that differ.
(() => {
  const live = document.getElementById("live");
  const known = new Map(); // section -> its HTML as the server wrote it
  let mark = live.dataset.mark, source = null, busy = false, again = false, lost = null;

  const say = () => {
    const words = document.getElementById("link");
    live.classList.toggle("note", lost !== null);
    live.classList.toggle("warning", lost !== null);
    words.textContent = lost === null
      ? "Renews itself."
      : `The dashboard has not answered since ${lost.toLocaleTimeString()}; it is asked again.`;
  };
  const answered = () => { lost = null; say(); };
  const silent = () => { lost ??= new Date(); say(); };

  const replace = (old, fresh) => {
    const open = [...old.querySelectorAll("details")].map((part) => part.open);
    const ahead = [...old.querySelectorAll(".scroll")].map((part) => [part.scrollLeft, part.scrollTop]);
    old.replaceWith(fresh);
    fresh.querySelectorAll("details").forEach((part, place) => { part.open = open[place] ?? part.open; });
    fresh.querySelectorAll(".scroll").forEach((part, place) => {
      [part.scrollLeft, part.scrollTop] = ahead[place] ?? [0, 0];
    });
    fresh.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
  };

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const sections = [...fresh.querySelectorAll("main > section")];
    const there = [...document.querySelectorAll("main > section")];
    const alike = sections.length === there.length && sections.every((one, place) => one.id === there[place].id);
    if (!alike) {
      replace(document.querySelector("main"), document.importNode(fresh.querySelector("main"), true));
      const contents = document.querySelector("nav"), others = fresh.querySelector("nav");
      if (contents && others) contents.replaceWith(document.importNode(others, true));
    }
    sections.forEach((one, place) => {
      if (alike && known.get(one.id) !== one.outerHTML) replace(there[place], document.importNode(one, true));
      known.set(one.id, one.outerHTML);
    });
    document.getElementById("moment").textContent = fresh.getElementById("moment").textContent;
    mark = fresh.getElementById("live").dataset.mark;
  };

  const renew = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      show(await answer.text());
      answered();
    } catch {
      silent();
    }
    busy = false;
    if (again) { again = false; setTimeout(renew, 500); }
  };

  // The browser connects again by itself; a server that refuses the stream is asked every few seconds.
  const listen = () => {
    if (source !== null || document.hidden) return;
    source = new EventSource(live.dataset.events);
    source.addEventListener("open", answered);
    source.addEventListener("changed", (event) => { if (event.data !== mark) renew(); });
    source.addEventListener("error", () => {
      silent();
      if (source.readyState === EventSource.CLOSED) { source = null; setTimeout(listen, 3000); }
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) { listen(); return; }
    source?.close(); // a browser has few connections, and a page that nobody sees needs none
    source = null;
  });
  document.querySelectorAll("main > section").forEach((one) => known.set(one.id, null));
  say();
  listen();
})();
