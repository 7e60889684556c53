// What the pages gain with a script: they follow what happens, answer while one types, and tell the time here.
"use strict";
(() => {
  const announcement = document.getElementById("announcement");
  const LOST_MS = 3000;
  const AGAIN_MS = 5000;

  function tellTimesHere(root) {
    for (const element of root.querySelectorAll("time[datetime]:not([data-here])")) {
      const when = new Date(element.dateTime);
      if (Number.isNaN(when.getTime())) continue;
      const two = (number) => String(number).padStart(2, "0");
      const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
      const today = new Date();
      const clock = `${two(when.getHours())}:${two(when.getMinutes())}`;
      element.textContent = when.toDateString() === today.toDateString() ? clock : `${day} ${clock}`;
      element.title = `${day} ${clock}:${two(when.getSeconds())}`;
      element.dataset.here = "yes";
    }
  }

  const FOCUSED = "a[href], button, input, select, textarea, summary, [tabindex]";

  // Names what has the focus so that the same thing is found in another text of the same part.
  function nameOf(element) {
    if (element.id) return `#${element.id}`;
    const where = element.getAttribute("href") ?? element.form?.getAttribute("action") ?? "";
    return [element.tagName, where, element.name ?? "", element.textContent.trim()].join("|");
  }

  // While a key or a button of the mouse is down, what it was pressed on has to stay.
  let isPressed = false;
  for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => (isPressed = true), true);
  for (const name of ["pointerup", "pointercancel", "keyup"]) addEventListener(name, () => (isPressed = false), true);
  addEventListener("blur", () => (isPressed = false)); // of the window: what is let go then is not heard of

  // Puts a new part in the place of the old one; focus, open details and scrolled places stay as they are.
  function replace(part, html) {
    const had = part.contains(document.activeElement) ? document.activeElement : null;
    const focused = had && nameOf(had);
    const place = had ? [...part.querySelectorAll(FOCUSED)].indexOf(had) : -1;
    const open = new Map([...part.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const places = new Map(
      [...part.querySelectorAll(".scroll[id]")].map((one) => [
        one.id,
        [one.scrollLeft, one.scrollTop, one.scrollTop + one.clientHeight >= one.scrollHeight - 4],
      ]),
    );
    const before = part.querySelector("[data-announce]")?.textContent.trim();
    part.innerHTML = html;
    for (const details of part.querySelectorAll("details[id]")) {
      if (open.has(details.id)) details.open = open.get(details.id);
    }
    for (const area of part.querySelectorAll(".scroll[id]")) {
      const [left, top, atEnd] = places.get(area.id) ?? [0, 0, true];
      area.scrollLeft = left;
      area.scrollTop = area.classList.contains("log") && atEnd ? area.scrollHeight : top;
    }
    tellTimesHere(part);
    if (focused) {
      const all = [...part.querySelectorAll(FOCUSED)];
      const same = all.filter((element) => nameOf(element) === focused);
      // What is gone leaves the focus to the part, from where Tab goes on.
      if (!same.length) part.tabIndex = -1;
      (same.find((element) => all.indexOf(element) === place) ?? same[0] ?? part).focus({ preventScroll: true });
    }
    const after = part.querySelector("[data-announce]")?.textContent.trim();
    if (after && after !== before) announcement.textContent = after;
  }

  async function fetchPart(address, options) {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "error", ...options });
    const isPart = (answer.headers.get("Content-Type") ?? "").startsWith("text/html");
    return isPart && answer.ok ? answer.text() : null;
  }

  // Follows a stream of events; at each, what changes is asked for once, however many events came together.
  function follow(part) {
    const isTyping = () => part.contains(document.activeElement) && document.activeElement.tagName === "INPUT";
    let stream = null;
    let timer = 0;
    let silence = 0;
    let isBehind = false;
    async function load() {
      timer = 0;
      if (wait()) return;
      const html = await fetchPart(part.dataset.part + location.search).catch(() => null);
      if (html === null || wait()) return;
      isBehind = false;
      replace(part, html);
      if (part.querySelector('[data-ended="yes"]')) close();
    }
    const soon = () => {
      if (!timer) timer = setTimeout(load, 150);
    };
    // What somebody types, or presses, stays until that is done.
    function wait() {
      isBehind ||= isTyping();
      if (isPressed) soon();
      return isPressed || isTyping();
    }
    function open() {
      if (stream || !part.dataset.stream) return;
      stream = new EventSource(part.dataset.stream);
      stream.addEventListener("open", heard);
      stream.addEventListener("error", unheard);
      for (const name of part.dataset.events.split(" ")) stream.addEventListener(name, soon);
    }
    function close() {
      stream?.close();
      stream = null;
      clearTimeout(silence);
      silence = 0;
    }
    function heard() {
      clearTimeout(silence);
      silence = 0;
      const lost = document.getElementById("lost");
      if (lost.hidden) return;
      lost.hidden = true;
      soon();
    }
    // The browser asks again by itself, unless it was refused; a stream that only begins anew is soon heard.
    function unheard() {
      if (!silence) silence = setTimeout(() => (document.getElementById("lost").hidden = false), LOST_MS);
      if (stream?.readyState !== EventSource.CLOSED) return;
      stream = null;
      setTimeout(open, AGAIN_MS);
    }
    part.addEventListener("focusout", () => {
      if (isBehind) soon();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) close();
      else if (!part.querySelector('[data-ended="yes"]')) {
        soon();
        open();
      }
    });
    addEventListener("pagehide", close);
    open();
  }

  function showFaults(form, part) {
    const told = new Map();
    for (const item of part.querySelectorAll("[data-field]")) told.set(item.dataset.field, item.dataset.fault);
    const wrong = part.querySelector("[data-wrong]")?.dataset.wrong;
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden") continue;
      const isWrong = told.has(field.name) || (Boolean(wrong) && field.name === wrong);
      field.toggleAttribute("aria-invalid", isWrong);
      if (isWrong) field.setAttribute("aria-invalid", "true");
      const place = document.getElementById(`${field.id}-wrong`);
      if (place) place.textContent = told.get(field.name) ?? "";
    }
  }

  // Shows what comes of a form while somebody types; a later answer is never replaced by an earlier one.
  function answerWhileTyping(form) {
    const part = document.getElementById(form.dataset.target);
    let timer = 0;
    let running = null;
    async function load() {
      running?.abort();
      const asked = (running = new AbortController());
      const values = new URLSearchParams(new FormData(form));
      const isPost = form.dataset.method === "post";
      const address = isPost ? form.dataset.part : `${form.dataset.part}?${values}`;
      const options = isPost ? { method: "POST", body: values } : {};
      const html = await fetchPart(address, { ...options, signal: asked.signal }).catch(() => null);
      if (asked.signal.aborted) return;
      part.removeAttribute("aria-busy");
      if (html === null) return;
      replace(part, html);
      showFaults(form, part);
      if (!isPost) history.replaceState(null, "", `${form.getAttribute("action")}?${values}`);
    }
    form.addEventListener("input", () => {
      part.setAttribute("aria-busy", "true");
      clearTimeout(timer);
      timer = setTimeout(load, 250);
    });
  }

  // A link to a field opens what hides it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!target || target.id === "main") return;
    for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    target.focus();
  });

  // A theme needs no new page, which would lose what was typed.
  function chooseTheme(event) {
    const chosen = event.submitter;
    if (!chosen) return;
    event.preventDefault();
    const values = new URLSearchParams({ theme: chosen.value });
    fetch("/theme", { method: "POST", body: values, redirect: "manual", keepalive: true }).catch(() => null);
    const theme = chosen.value === "system" ? "" : chosen.value;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    document.querySelector('meta[name="color-scheme"]').content = theme || "light dark";
    for (const button of event.target.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  }

  document.querySelector('form[action="/theme"]')?.addEventListener("submit", chooseTheme);
  tellTimesHere(document);
  document.getElementById("refused")?.focus();
  for (const log of document.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
  for (const part of document.querySelectorAll("[data-stream]")) follow(part);
  for (const form of document.querySelectorAll("form[data-target]")) answerWhileTyping(form);
  document.documentElement.dataset.script = "yes";
})();
