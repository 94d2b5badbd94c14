// Keeps the page up to date, and asks in a dialog what is otherwise asked on a page of
// its own. Without this script everything works too, but for the updates.
"use strict";
(() => {
  const root = document.documentElement.dataset.root;
  const lost = document.getElementById("lost");
  const dialog = document.getElementById("ask");
  const noConnection = "No connection: what you see is old.";

  // fetchPage returns a page of ours as a document, and the status of the answer.
  const fetchPage = async (url, options) => {
    const answer = await fetch(url, { ...options, credentials: "same-origin", cache: "no-store" });
    return { status: answer.status, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
  };

  // old says why the page isn't up to date.
  const old = (status) => {
    if (status === 403) return "You may no longer see this page: what you see is old.";
    if (status === 404) return "This is gone: what you see is old.";
    return `The server answers with the error ${status}: what you see is old.`;
  };

  // replace replaces each part that is marked by its newer self, unless somebody selects
  // text in it. A link keeps the focus.
  const replace = (page) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = page.getElementById(part.id);
      const selected = getSelection();
      if (!now || now.innerHTML === part.innerHTML || !selected.isCollapsed && part.contains(selected.anchorNode)) continue;
      const focus = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
      part.replaceChildren(...now.childNodes);
      if (focus) part.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
    }
  };

  let updating = false;
  const update = async () => {
    if (updating || document.hidden) return;
    updating = true;
    try {
      const { status, page } = await fetchPage(location.href);
      if (status === 200) replace(page);
      lost.textContent = status === 200 ? "" : old(status);
    } catch {
      lost.textContent = noConnection;
    }
    updating = false;
  };
  if (document.querySelector("[data-live]") && window.EventSource) {
    const events = new EventSource(root + "api/v1/events");
    events.addEventListener("signals", update);
    events.addEventListener("error", async () => {
      await update(); // it says why, if the server can be reached
      lost.textContent ||= noConnection;
    });
    document.addEventListener("visibilitychange", update);
    addEventListener("pagehide", () => events.close());
  }

  // A form or a button that asks first gets its question from the server.
  document.addEventListener("submit", async (event) => {
    const form = event.target, button = event.submitter;
    if (form.closest("dialog") || !(form.hasAttribute("data-ask") || button?.hasAttribute("data-ask"))) return;
    event.preventDefault();
    const action = button?.getAttribute("formaction") || form.getAttribute("action");
    try {
      const { page } = await fetchPage(action, { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
      const question = page.querySelector("[data-asking]") || page.querySelector("main .lead");
      question.setAttribute("action", action);
      dialog.replaceChildren(question);
      if (!question.matches("form")) {
        const close = document.createElement("button");
        close.textContent = "Close";
        close.addEventListener("click", () => dialog.close());
        question.id = "ask-title";
        dialog.append(close);
      }
      dialog.showModal();
    } catch {
      lost.textContent = "No connection: nothing was done.";
    }
  });
  dialog.addEventListener("close", () => dialog.replaceChildren());
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-cancel]")) {
      event.preventDefault();
      dialog.close();
    }
  });

  // One box selects all of a list.
  for (const list of document.querySelectorAll("[data-list]")) {
    const head = list.querySelector("th.pick");
    if (!head) continue;
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Select all messages on this page");
    all.addEventListener("change", () => {
      for (const box of list.querySelectorAll("td.pick input")) box.checked = all.checked;
    });
    head.append(all);
  }
})();
