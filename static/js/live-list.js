// The list while agents work: rows appear, move and change; filters and what is selected stay as they are.
import { keepOpen, showState } from "./connection.js";
import { copyAttributes, parse } from "./elements.js";

const list = document.querySelector("[data-live-list]");
let since = Number(list.dataset.since);
let held = new Map();

// Nothing moves under the pointer, or away from under the focus.
const busy = () => list.matches(":hover") || list.contains(document.activeElement);

// A row's new form is put into the row that stands there, text by text, so that a click on it is not lost. Where it has
// another shape, the row is another.
const hasShape = (old, now) => old.nodeName === now.nodeName && old.childNodes.length === now.childNodes.length
  && [...old.childNodes].every((child, index) => hasShape(child, now.childNodes[index]));
const bring = (old, now) => {
  if (old.nodeType === Node.TEXT_NODE) { if (old.data !== now.data) old.data = now.data; return; }
  if (old.nodeType !== Node.ELEMENT_NODE) return;
  copyAttributes(old, now);
  for (const [index, child] of [...old.childNodes].entries()) bring(child, now.childNodes[index]);
};

const exchange = (old, row) => {
  row.querySelector("input").checked = old.querySelector("input").checked;
  old.replaceWith(row);
};

const groupOf = (name) => {
  for (const group of list.querySelectorAll(".sessions")) if (group.dataset.group === name) return group;
  return null;
};
const makeGroup = (name, order, row) => {
  const group = document.createElement("ul");
  group.className = "sessions";
  group.dataset.group = name;
  const heading = document.createElement("h2");
  heading.className = "group";
  heading.textContent = name;
  const next = [...list.querySelectorAll(".sessions")].find((other) => [...other.children].some((each) => each !== row && Number(each.dataset.order) < order));
  const before = next ? (next.previousElementSibling?.matches(".group") ? next.previousElementSibling : next) : null;
  list.insertBefore(group, before);
  if (name) list.insertBefore(heading, group);
  return group;
};
const dropEmpty = () => {
  for (const group of list.querySelectorAll(".sessions:empty")) {
    if (group.previousElementSibling?.matches(".group")) group.previousElementSibling.remove();
    group.remove();
  }
};

const place = (row, frame) => {
  const group = groupOf(frame.group) ?? makeGroup(frame.group, frame.order, row);
  const next = [...group.children].find((other) => Number(other.dataset.order) < frame.order || (Number(other.dataset.order) === frame.order && other.id < row.id));
  if (next !== row) group.insertBefore(row, next ?? null);
};

// What belongs behind the last row of a page is on a further one.
const isBeyond = (frame) => {
  const last = [...list.querySelectorAll("li[data-order]")].at(-1);
  return document.querySelector(".pages [rel=next]") && last && frame.order < Number(last.dataset.order);
};

const settle = () => {
  if (busy()) return;
  for (const [id, frame] of held) {
    const row = document.getElementById(id);
    if (frame.html === null) row?.remove();
    else {
      if (row && row !== frame.row) exchange(row, frame.row);
      if (!list.dataset.paged) place(frame.row, frame);
    }
  }
  held = new Map();
  dropEmpty();
};
list.addEventListener("pointerleave", () => setTimeout(settle));
list.addEventListener("focusout", () => setTimeout(settle));

// What the page has, for the server to tell what it lacks, and which of its rows are gone.
const hello = () => ({
  since,
  query: location.search.slice(1),
  shown: [...list.querySelectorAll("li[id^=session-]")].map((row) => row.id.slice("session-".length)),
});

let loading = false;
let wanted = false;
const reload = async () => {
  wanted = true;
  if (loading) return;
  loading = true;
  for (let attempt = 0; wanted;) {
    wanted = false;
    const response = await fetch(location.href).catch(() => null);
    const page = response?.ok && new DOMParser().parseFromString(await response.text(), "text/html");
    const fetched = page && page.querySelector("[data-live-list]");
    if (!fetched) {
      wanted = true;
      await new Promise((done) => { setTimeout(done, Math.min(30_000, 1000 * 2 ** attempt)); });
      attempt += 1;
      continue;
    }
    const picked = new Set([...list.querySelectorAll("input:checked")].map((input) => input.value));
    list.replaceChildren(...fetched.childNodes);
    for (const input of list.querySelectorAll("input")) input.checked = picked.has(input.value);
    held = new Map();
    // What was put into the rows before is gone with them.
    since = Number(fetched.dataset.since);
    connection.send(hello());
  }
  loading = false;
};

// The totals follow, and not more often than somebody could read them.
let counting = 0;
const count = () => {
  if (!counting) counting = setTimeout(() => { counting = 0; document.querySelector(".totals")?.dispatchEvent(new Event("gander:changed")); }, 5000);
};

const take = (frame) => {
  count();
  if (frame.type === "reload") { reload(); return; }
  if (!("html" in frame)) return;
  const id = `session-${frame.id}`;
  const old = document.getElementById(id);
  const waits = busy();
  if (frame.html === null) {
    if (old && waits) held.set(id, frame);
    else {
      // One that waited to be shown never will be.
      held.delete(id);
      old?.remove();
    }
    dropEmpty();
    return;
  }
  const row = parse(frame.html);
  row.dataset.order = frame.order;
  if (old) {
    const shown = hasShape(old, row) ? old : row;
    if (shown === old) bring(old, row);
    else if (!old.matches(":hover")) {
      const hadFocus = old.contains(document.activeElement);
      const focused = hadFocus && [...old.querySelectorAll("a, input, button")].indexOf(document.activeElement);
      exchange(old, row);
      if (hadFocus) [...row.querySelectorAll("a, input, button")][focused]?.focus();
    }
    if (waits) held.set(id, { ...frame, row: shown });
    // Further pages stay in their order.
    else if (!list.dataset.paged) place(shown, frame);
  } else if (!list.dataset.paged && !isBeyond(frame)) {
    // What is new comes on top; under the pointer it waits.
    if (waits) held.set(id, { ...frame, row });
    else place(row, frame);
  }
  for (const empty of document.querySelectorAll("[data-nothing]")) empty.remove();
  list.closest("form").removeAttribute("data-empty");
  dropEmpty();
};

const connection = keepOpen("/ws/sessions", {
  hello,
  take: (frame) => { if (frame.type === "now") since = frame.since; else take(frame); },
  state: showState,
  ended: () => location.assign("/sign-in"),
});
