// What the pages gain with a script: they follow what happens, answer while one types, and tell the time here.
"use strict";
(() => {
  const announcement = document.getElementById("announcement");

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

  // Puts a new part in the place of the old one; focus, open details and scrolled places stay as they are.
  function replace(part, html) {
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
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
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
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
    async function load() {
      timer = 0;
      if (isTyping()) return;
      const html = await fetchPart(part.dataset.part + location.search).catch(() => null);
      if (html === null || isTyping()) return;
      replace(part, html);
      if (part.querySelector('[data-ended="yes"]')) close();
    }
    const soon = () => {
      if (!timer) timer = setTimeout(load, 150);
    };
    function open() {
      if (stream || !part.dataset.stream) return;
      stream = new EventSource(part.dataset.stream);
      for (const name of part.dataset.events.split(" ")) stream.addEventListener(name, soon);
    }
    function close() {
      stream?.close();
      stream = null;
    }
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
      if (html === null || asked.signal.aborted) return;
      replace(part, html);
      showFaults(form, part);
      if (!isPost) history.replaceState(null, "", `${form.getAttribute("action")}?${values}`);
    }
    form.addEventListener("input", () => {
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

  tellTimesHere(document);
  for (const log of document.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
  for (const part of document.querySelectorAll("[data-stream]")) follow(part);
  for (const form of document.querySelectorAll("form[data-target]")) answerWhileTyping(form);
  document.documentElement.dataset.script = "yes";
})();
