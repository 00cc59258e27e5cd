// The session page while its agent works: what arrives is put in place without moving what one reads.
import { keepOpen, showState } from "./connection.js";
import { parse } from "./elements.js";
import { arrange, compare, replace, unitsOf } from "./fold.js";
import { line } from "./place.js";

const head = document.querySelector("[data-live]");
const log = document.querySelector("#messages");
const pill = document.querySelector("#new-messages");
const announcer = document.querySelector("#announcer");
let title = document.title;
let revision = Number(head.dataset.revision);
// The last message of the session, loaded or not; what comes behind it is new.
let newest = log?.dataset.newest ?? "";
const newestId = () => newest.slice(newest.indexOf(":") + 1);
let fresh = new Set();
let beyond = "";

const added = (element) => {
  globalThis.htmx?.process(element);
  document.dispatchEvent(new CustomEvent("gander:added", { detail: element }));
};
const endIsLoaded = () => !log.querySelector("[data-window=after]");
const atEnd = () => endIsLoaded() && innerHeight + scrollY > document.documentElement.scrollHeight - 150;
const inView = () => {
  const top = line() + 10;
  return unitsOf(log).find((unit) => unit.getBoundingClientRect().bottom > top);
};

const count = () => {
  pill.hidden = fresh.size === 0 || atEnd();
  pill.querySelector("[data-label]").textContent = `${fresh.size} new message${fresh.size === 1 ? "" : "s"}`;
  document.title = fresh.size ? `(${fresh.size}) ${title}` : title;
};
const seen = () => {
  if (fresh.size && document.visibilityState === "visible" && atEnd()) {
    fresh = new Set();
    count();
  }
};
addEventListener("scroll", seen, { passive: true });
document.addEventListener("visibilitychange", seen);
pill?.addEventListener("click", (event) => {
  if (!endIsLoaded()) { pill.href = `?at=${encodeURIComponent(beyond)}#${encodeURIComponent(beyond)}`; return; }
  event.preventDefault();
  scrollTo({ top: document.documentElement.scrollHeight });
  seen();
});

// A new unit's place is in the turn of the unit before it; a prompt begins a turn of its own.
const insert = (unit) => {
  const units = unitsOf(log);
  const before = units.filter((other) => compare(other, unit) < 0).at(-1);
  const last = units.length === 0 || before === units.at(-1);
  if (!last && (!before || unit.classList.contains("user"))) return null;
  let section = before?.closest(".turn");
  if (!section || unit.classList.contains("user")) {
    const turn = document.createElement("section");
    turn.className = "turn";
    turn.dataset.turn = unit.id;
    if (section) section.after(turn);
    else (log.querySelector("[data-window=after]") ? log.querySelector("[data-window=after]").before(turn) : log.append(turn));
    section = turn;
  }
  section.append(unit);
  return section;
};

const announce = (unit) => {
  if (!("finished" in unit.dataset) || unit.classList.contains("user")) return;
  const said = [...unit.querySelectorAll(":scope > .body .part.prose")].map((part) => part.textContent.trim()).join(" ").slice(0, 500);
  if (!said) return;
  const line = document.createElement("p");
  line.textContent = said;
  announcer.append(line);
  while (announcer.children.length > 5) announcer.firstElementChild.remove();
};

const message = (fragment, touched) => {
  // Ids are the source's: among the units only, as another element of the page may be called the same.
  const old = log.querySelector(`[data-order][id="${CSS.escape(fragment.id)}"]`);
  const unit = parse(fragment.html);
  if (old) {
    const section = old.closest(".turn");
    const finished = "finished" in old.dataset;
    const now = replace(old, unit);
    touched.add(section);
    if (!finished) announce(now);
    added(now);
    return true;
  } else {
    const units = unitsOf(log);
    if (fragment.order > newest) {
      newest = fragment.order;
      fresh.add(fragment.id);
      beyond = fragment.id;
    }
    const after = units.length === 0 || compare(unit, units.at(-1)) > 0;
    if (after ? !endIsLoaded() : log.querySelector("[data-window=before]") && compare(unit, units[0]) < 0) return true;
    const section = insert(unit);
    if (!section) return false;
    log.querySelector(":scope > .empty")?.remove();
    touched.add(section);
    announce(unit);
  }
  added(unit);
  return true;
};

const prompt = (fragment) => {
  for (const list of document.querySelectorAll(".prompts")) {
    const entry = parse(fragment.html);
    const id = entry.querySelector("[data-prompt]").dataset.prompt;
    const old = list.querySelector(`[data-prompt="${CSS.escape(id)}"]`)?.closest("li");
    if (old) {
      // What one reads stays marked, and the focus where it was.
      const [link, now] = [old, entry].map((each) => each.querySelector("[data-prompt]"));
      if (link.hasAttribute("aria-current")) now.setAttribute("aria-current", "true");
      if (old.isEqualNode(entry)) continue;
      const focused = link === document.activeElement;
      old.replaceWith(entry);
      if (focused) now.focus({ preventScroll: true });
      continue;
    }
    const lines = [...list.querySelectorAll("[data-prompt-order]")];
    const next = lines.find((other) => other.dataset.promptOrder > entry.dataset.promptOrder);
    if (next ? next === lines[0] && list.querySelector("[data-earlier]") : list.querySelector("[data-more]")) continue;
    list.querySelector("[data-none]")?.remove();
    list.insertBefore(entry, next ?? null);
    // Those behind one that came late count one more.
    let number = Number(entry.querySelector(".number").textContent);
    for (let each = next; each?.dataset.promptOrder; each = each.nextElementSibling) each.querySelector(".number").textContent = String(number += 1);
  }
};

// The files that a turn changed stand at its end, where that is on the page.
const changed = (fragment) => {
  const section = [...log.querySelectorAll(`.turn[data-turn="${CSS.escape(fragment.id)}"]`)].at(-1);
  if (!section) return;
  const old = section.querySelector(":scope > .changed");
  // A turn may go on behind the window.
  const goesOn = section.nextElementSibling?.dataset.window === "after" && !old;
  const now = goesOn ? null : parse(fragment.html);
  if (now?.dataset.key === old?.dataset.key) return;
  old?.remove();
  if (!now) return;
  section.append(now);
  added(now);
};

// A piece of the page around the conversation. What says the same by its key is left alone: somebody may be about to
// press a button in it.
const piece = (fragment) => {
  const old = document.getElementById(fragment.id);
  if (!old) return;
  const now = parse(fragment.html);
  if (now.dataset.key && now.dataset.key === old.dataset.key) return;
  const focused = old.contains(document.activeElement);
  old.replaceWith(now);
  added(now);
  document.dispatchEvent(new CustomEvent("gander:replaced", { detail: { old, now, focused } }));
};

// What the agent is at just now stays open, and folds when it goes on to something else.
const keepNewestOpen = () => {
  const working = document.querySelector("#origin :is([data-status=working], [data-status=waiting])") && endIsLoaded();
  const last = [...log.querySelectorAll("details.steps")].at(-1);
  const unit = unitsOf(log).at(-1);
  const newest = working && last && (last.contains(unit) || unit.querySelector(":scope > .body")?.lastElementChild === last) ? last : null;
  for (const fold of log.querySelectorAll("details.steps[data-newest]")) {
    if (fold === newest) continue;
    fold.removeAttribute("data-newest");
    if (!fold.querySelector("[data-failed]")) fold.open = false;
  }
  if (newest && !("newest" in newest.dataset)) {
    newest.dataset.newest = "";
    newest.open = true;
  }
};

const put = (fragments) => {
  const follow = log && atEnd() && document.visibilityState === "visible";
  const reading = follow || !log ? null : inView();
  const top = reading?.getBoundingClientRect().top;
  const touched = new Set();
  let fits = true;
  for (const fragment of fragments) {
    if (fragment.kind === "prompt") prompt(fragment);
    else if (fragment.kind === "changed") { if (log) changed(fragment); }
    else if (fragment.kind === "message") fits = (!log || message(fragment, touched)) && fits;
    else piece(fragment);
  }
  if (!log) {
    document.title = title;
    return true;
  }
  for (const section of touched) arrange(section);
  keepNewestOpen();
  const still = reading && document.getElementById(reading.id);
  if (follow) scrollTo({ top: document.documentElement.scrollHeight });
  else if (still) scrollBy(0, still.getBoundingClientRect().top - top);
  count();
  seen();
  return fits;
};

// When too much is missing, or the order changed, the content is had anew: this window, not the page around it. Until
// that has worked the page keeps the revision that it is complete up to, and asks from there after a reconnection.
let loading = false;
let wanted = false;
let heard = revision;
let over = false;
// What was asked for again, until it has come: a connection that breaks takes the answer with it.
let owed = Infinity;
const askAgain = (since) => {
  owed = Math.min(owed, since);
  connection.send({ since: owed });
};
// Whether the next load is to bring the session's end.
let toEnd = false;
// What htmx loads was rendered at some moment; what came meanwhile for beyond the window was passed over, and is asked
// for again once the window is longer.
const begun = new Map();
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.elt.closest("[data-window], .outline, #outline-sheet")) begun.set(detail.xhr, revision);
});
for (const name of ["htmx:afterSettle", "htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, ({ detail }) => {
    const since = begun.get(detail.xhr);
    begun.delete(detail.xhr);
    if (name === "htmx:afterSettle" && since !== undefined && heard > since) askAgain(since);
  });
}

const address = () => {
  const reading = log && inView();
  if (!reading) return location.href;
  // An owner who looks at it as a reader does would be sent to their own page.
  const query = new URLSearchParams(new URLSearchParams(location.search).has("view") ? { view: "reader" } : {});
  const units = unitsOf(log);
  const target = atEnd() ? units.at(-1) : reading;
  // The first window holds 50 messages; what stands well inside of it is had there.
  const inFirst = !log.querySelector("[data-window=before]") && units.indexOf(target) < 40;
  if (toEnd || !inFirst) query.set("at", toEnd ? newestId() : target.id);
  return `${location.pathname}?${query}`;
};
// The outlines that were loaded, each with its new form: around where the page's content is from.
const loadOutlines = async (page) => {
  const found = [];
  for (const box of [".outline", "#outline-sheet"]) {
    const old = document.querySelector(`${box} .prompts`);
    if (!old) continue;
    const path = page.querySelector(`${box} [hx-get]`).getAttribute("hx-get");
    const response = await fetch(path, { headers: { "HX-Request": "true" } });
    if (!response.ok) throw new Error(String(response.status));
    found.push([old, parse(await response.text())]);
  }
  return found;
};
// Changes, Info and the like, which are had whole: whether they say what they did.
const keysOf = (view) => [...view.querySelectorAll(".change")].map((change) => change.dataset.key).join(" ");
const isSame = (view, fresh) => {
  const keys = keysOf(fresh);
  if (!keys) return view.textContent === fresh.textContent;
  const [before, now] = [view, fresh].map((each) => each.querySelector(".changes-head")?.textContent);
  return keys === keysOf(view) && before === now;
};
const load = async () => {
  const response = await fetch(address(), { headers: { Accept: "text/html" } });
  if (!response.ok) throw new Error(String(response.status));
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  // A page that asks to sign in is none of this session.
  const there = page.querySelector("[data-live]");
  if (!there) throw new Error("not the session's page");
  const outlines = log ? await loadOutlines(page) : [];
  const follow = log && (toEnd || atEnd());
  const reading = log ? inView() : [...document.querySelectorAll("#view .change")].find((change) => change.getBoundingClientRect().bottom > line() + 10);
  const top = reading?.getBoundingClientRect().top;
  // Files that somebody folded stay so.
  const folded = new Set([...document.querySelectorAll("#view .change:not([open]) .object")].map((name) => name.textContent));
  for (const id of log ? ["messages", "origin", "changes-count", "agent-state"] : ["view"]) {
    const part = page.getElementById(id);
    const place = document.getElementById(id);
    if (!part || !place) continue;
    if (id === "agent-state") {
      piece({ id, html: part.outerHTML });
      continue;
    }
    if (id === "view" && isSame(place, part)) continue;
    // A change that is the same stays as it is: somebody may have loaded, folded or selected something in it.
    for (const change of part.querySelectorAll(".change")) {
      const before = document.getElementById(change.id);
      if (before?.dataset.key === change.dataset.key) change.replaceWith(before);
    }
    place.replaceChildren(...part.childNodes);
    for (const change of place.querySelectorAll(".change")) change.open = !folded.has(change.querySelector(".object").textContent);
    for (const name of Object.keys(part.dataset)) place.dataset[name] = part.dataset[name];
    added(place);
  }
  for (const [old, now] of outlines) {
    old.replaceWith(now);
    added(now);
  }
  const missed = log && log.dataset.newest > newest;
  if (missed) {
    for (const unit of unitsOf(log)) if (unit.dataset.order > newest) fresh.add(unit.id);
    newest = log.dataset.newest;
    beyond = newestId();
    if (!endIsLoaded()) fresh.add(beyond);
  }
  const still = reading && document.getElementById(reading.id);
  if (follow && endIsLoaded()) scrollTo({ top: document.documentElement.scrollHeight });
  else if (still) scrollBy(0, still.getBoundingClientRect().top - top);
  // Whoever follows is brought along, however much came.
  toEnd = follow && !endIsLoaded() && !toEnd;
  wanted ||= toEnd;
  if (missed) { count(); seen(); }
  return Number(there.dataset.revision);
};
const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const reload = async () => {
  wanted = true;
  if (loading) return;
  loading = true;
  // All who watch are told at once, and come one by one.
  if (log) await pause(1000 * Math.random());
  for (let attempt = 0; wanted && !over;) {
    wanted = false;
    try {
      revision = await load();
      attempt = 0;
      // What arrived meanwhile went into content that is gone by now: it is asked for again, and no faster than it can
      // be read.
      if (revision < heard && log) askAgain(revision);
      else if (revision < heard) refreshView();
      if (wanted) await pause(500);
    } catch {
      wanted = true;
      await pause(Math.min(30_000, 1000 * 2 ** attempt));
      attempt += 1;
    }
  }
  loading = false;
};

let refreshing = 0;
const refreshView = () => {
  // Changes and Info are had whole, and not more often than somebody could read them.
  if (!refreshing) refreshing = setTimeout(() => { refreshing = 0; reload(); }, 3000);
};

const take = (frame) => {
  if (frame.type === "watching") {
    for (const place of document.querySelectorAll("[data-watching]")) {
      place.hidden = frame.count === 0;
      place.querySelector("[data-label]").textContent = `${frame.count} watching`;
    }
    return;
  }
  if (frame.type === "session-deleted" || frame.type === "error") return;
  // Bare news of the moment before this page had said what it has: the answer to that holds it all.
  if (!("fragments" in frame)) return;
  document.dispatchEvent(new CustomEvent("gander:session", { detail: frame }));
  title = `${frame.title} · Gander`;
  const heading = document.querySelector(".session-head h1");
  if (heading && heading.textContent !== frame.title) heading.textContent = heading.title = frame.title;
  if (frame.since <= owed) owed = Infinity;
  const news = frame.revision > heard;
  heard = Math.max(heard, frame.revision);
  const fits = put(frame.fragments);
  if (!log) {
    revision = heard;
    if (news) refreshView();
  } else if (frame.reload || !fits || frame.revert !== log.dataset.revert) reload();
  else if (!loading) revision = heard;
};

const connection = keepOpen(head.dataset.live, {
  hello: () => ({ since: Math.min(revision, owed) }),
  take,
  state: showState,
  ended: () => {
    over = true;
    const gone = document.querySelector("#gone").content.cloneNode(true);
    document.querySelector("#main").replaceChildren(gone);
    document.title = "Gander";
  },
});
