// Renews the parts of a page that have numbers, and goes to the search field with "/". Everything else works without it.
"use strict";
(() => {
  const PAUSE = 5000;
  const parts = () => document.querySelectorAll("[data-live]");
  const renew = async () => {
    if (document.hidden || parts().length === 0) return;
    const answer = await fetch(location.href, { headers: { "Starcell-Renew": "1" }, redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts()) {
      const next = page.getElementById(part.id);
      // What somebody uses with the keyboard, or has marked to copy, stays.
      const marked = getSelection().toString() !== "" && getSelection().containsNode(part, true);
      if (next && !part.contains(document.activeElement) && !marked) part.replaceWith(document.importNode(next, true));
    }
  };
  const again = () => renew().catch(() => {}).finally(() => setTimeout(again, PAUSE));
  setTimeout(again, PAUSE);
  document.addEventListener("keydown", (event) => {
    const field = document.querySelector("input[type=search]");
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "/" && field && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
    }
  });
})();
